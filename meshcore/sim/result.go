package sim

import (
	"fmt"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

func (w *world) result() Result {
	trace := w.trace
	for _, n := range w.nodes {
		if n.here {
			w.closeAccount(w.end, n, n.client.Report())
		}
		trace = note(trace, &event{seg: wire.SegmentID(n.trace), to: n.id})
	}
	m := &w.m
	res := Result{
		Scenario: w.sc.Name, Viewers: w.sc.Viewers, Policy: w.policy, Minutes: w.sc.Minutes, Seed: w.sc.Seed,
		Ceiling:      m.ceiling.share(w.end),
		StartupMSP50: percentile(m.startup, 50).Milliseconds(), StartupMSP95: percentile(m.startup, 95).Milliseconds(),
		LiveLatencyMS: percentile(m.latency, 50).Milliseconds(), DuplicateBytes: m.duplicate, BadChunks: m.bad,
		WatchedSeconds: m.watchedFor.Seconds(),
		Stalls:         m.stalls, StallSeconds: m.stalled.Seconds(), NotStarted: m.notStarted, Violations: m.violations,
		OriginBytes: m.egressed, PeerBytes: m.fromPeers, RelayedBytes: m.relayed, Messages: m.messages, ControlBytes: m.control, Refused: m.refused,
		Fairness: m.fairness(), Trace: fmt.Sprintf("%016x", trace),
	}
	if w.end%window == 0 && len(m.series) > int(w.end/window) {
		m.series = m.series[:w.end/window] // an event at the very end opened one more
	}
	res.Series = m.series
	if all := m.fromPeers + m.egressed; all > 0 {
		res.Offload = float64(m.fromPeers) / float64(all)
		res.Saving = float64(m.fromPeers-m.relayed) / float64(all)
	}
	segments := 0.0
	for _, bytes := range m.perSegment {
		if bytes > 0 {
			segments++
			res.OriginFetchesPerSegment += float64(bytes) / float64(w.layouts[0].Size)
		}
	}
	res.OriginFetchesPerSegment /= max(1, segments)
	for _, p := range res.Series {
		res.OriginPeakMbps = max(res.OriginPeakMbps, p.OriginMbps())
	}
	return res
}
