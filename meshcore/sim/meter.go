package sim

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// meter counts what a run is assessed by. Its own counts of the world's traffic
// stand beside the engines' reports, so that neither can err alone.
type meter struct {
	counts

	// As the engines report.
	peer, origin, duplicate, bad int64

	refused, notStarted, stalls int64
	stalled, watchedFor         time.Duration
	latency                     []time.Duration
	shares                      []float64 // of the uplink that was given, by viewer
	ceiling                     ceiling
}

// counts is what the world counts as it goes on: sums, which each shard has its own of.
type counts struct {
	// Bytes of chunks that a viewer got and had not.
	fromPeers, fromOrigin int64
	// Bytes that the origin sent, those of them that reached an engine, and those
	// that reached nobody, because the viewer had gone. The rest is under way.
	egressed, delivered, lost int64
	violations                int64
	relayed                   int64 // bytes of chunks that went over the relay

	series            []Point
	fetches           int64
	messages, control int64
	perSegment        []int64 // by sequence: bytes of it that left the origin
	startup           []time.Duration
}

// add takes in the counts of a shard.
func (m *counts) add(o *counts) {
	m.fromPeers += o.fromPeers
	m.fromOrigin += o.fromOrigin
	m.egressed += o.egressed
	m.delivered += o.delivered
	m.lost += o.lost
	m.violations += o.violations
	m.relayed += o.relayed
	m.fetches += o.fetches
	m.messages += o.messages
	m.control += o.control
	for i, p := range o.series {
		at := m.at(time.Duration(i) * window)
		at.OriginBytes += p.OriginBytes
		at.PeerBytes += p.PeerBytes
	}
	for i, bytes := range o.perSegment {
		*m.ofSegment(i) += bytes
	}
	m.startup = append(m.startup, o.startup...)
}

// tally is what became of one viewer.
type tally struct {
	uploaded int64
	stalls   int64
	stalled  time.Duration
}

func (t *tally) stall(took time.Duration) {
	t.stalls++
	t.stalled += took
}

func newMeter(sc *Scenario) meter { return meter{ceiling: newCeiling(sc)} }

// here notes that a viewer comes (+1) or goes (-1).
func (m *meter) here(now time.Duration, n *node, by int) { m.ceiling.here(now, n, by) }

// watched notes that a viewer wanted the segments first to last of a rendition.
func (m *meter) watched(rendition int, first, last int64) { m.ceiling.watched(rendition, first, last) }

// at gives the point of the series for a time.
func (m *counts) at(t time.Duration) *Point {
	k := int(t / window)
	for len(m.series) <= k {
		m.series = append(m.series, Point{Seconds: float64(len(m.series)) * window.Seconds()})
	}
	return &m.series[k]
}

// got notes bytes of a chunk that a viewer had not.
func (m *counts) got(now time.Duration, bytes int64, fromPeer bool) {
	if fromPeer {
		m.fromPeers += bytes
		m.at(now).PeerBytes += bytes
	} else {
		m.fromOrigin += bytes
	}
}

// egress notes bytes that the origin sends.
func (m *counts) egress(now time.Duration, ref segRef, bytes int64) {
	m.egressed += bytes
	m.at(now).OriginBytes += bytes
	*m.ofSegment(int(ref.sequence)) += bytes
}

func (m *counts) ofSegment(sequence int) *int64 {
	for len(m.perSegment) <= sequence {
		m.perSegment = append(m.perSegment, 0)
	}
	return &m.perSegment[sequence]
}

// gone closes the account of a viewer.
func (m *meter) gone(now time.Duration, n *node, r *signal.Report) {
	m.peer += r.PeerBytes
	m.origin += r.OriginBytes
	m.duplicate += r.DuplicateBytes
	m.bad += r.BadChunks
	m.watchedFor += now - n.player.came
	m.stalls += n.tally.stalls
	m.stalled += n.tally.stalled
	p := &n.player
	if p.started && p.last < 0 {
		m.latency = append(m.latency, p.behind+n.tally.stalled)
	}
	if !n.noUpload {
		m.shares = append(m.shares, float64(n.tally.uploaded)/n.up)
	}
}

// fairness is Jain's index of the shares of their uplinks that viewers gave: 1 if
// all gave the same share, 1/n if one gave all (Jain et al., DEC-TR-301, 1984).
func (m *meter) fairness() float64 {
	var sum, squares float64
	for _, x := range m.shares {
		sum += x
		squares += x * x
	}
	if squares == 0 {
		return 0
	}
	return sum * sum / (float64(len(m.shares)) * squares)
}

// percentile gives the p-th percentile, 0 of nothing.
func percentile(v []time.Duration, p int) time.Duration {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	slices.Sort(s)
	return s[min(len(s)-1, len(s)*p/100)]
}
