package sim

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// meter counts what a run is judged by. Its own counts of the world's traffic
// stand beside the engines' reports, so that neither can err alone.
type meter struct {
	viewers  []viewerMeter
	peer     int64
	origin   int64 // as the engines report
	egressed int64 // as the origin sent
	dup      int64
	bad      int64
	windows  []int64 // origin egress by 10 s
	fetches  int64
	messages int64
	refused  int64
	perSeg   []int64 // by live sequence: chunks of it that left the origin, in 1/64
	latency  []time.Duration
	startup  []time.Duration
	ceil     ceilingMeter
}

type viewerMeter struct {
	uploaded int64
	stalls   int64
	stall    time.Duration
	played   time.Duration
	here     time.Duration
}

func newMeter(rate float64) meter { return meter{ceil: ceilingMeter{rate: rate}} }

func (m *meter) viewer(i int32) {
	for len(m.viewers) <= int(i) {
		m.viewers = append(m.viewers, viewerMeter{})
	}
}

func (m *meter) uploaded(i int32, bytes int64) { m.viewers[i].uploaded += bytes }

func (m *meter) egress(now time.Duration, bytes int64) {
	m.egressed += bytes
	k := int(now / (10 * time.Second))
	for len(m.windows) <= k {
		m.windows = append(m.windows, 0)
	}
	m.windows[k] += bytes
}

func (m *meter) originChunks(_ time.Duration, ref segRef, chunks, of int) {
	for len(m.perSeg) <= int(ref.sequence) {
		m.perSeg = append(m.perSeg, 0)
	}
	m.perSeg[ref.sequence] += int64(chunks * 64 / of)
}

func (m *meter) started(_ int32, took time.Duration) { m.startup = append(m.startup, took) }

func (m *meter) stalled(i int32, took time.Duration) {
	m.viewers[i].stalls++
	m.viewers[i].stall += took
}

func (m *meter) played(i int32, t time.Duration) { m.viewers[i].played += t }

func (m *meter) gone(i int32, _ time.Duration, r *signal.Report, p *player) {
	m.peer += r.PeerBytes
	m.origin += r.OriginBytes
	m.dup += r.DuplicateBytes
	m.bad += r.BadChunks
	if p.started && p.last < 0 {
		m.latency = append(m.latency, p.behind+m.viewers[i].stall)
	}
}

func median[T int64 | time.Duration](v []T) T { return percentile(v, 50) }

func percentile[T int64 | time.Duration](v []T, p int) T {
	if len(v) == 0 {
		return 0
	}
	s := slices.Clone(v)
	slices.Sort(s)
	return s[min(len(s)-1, len(s)*p/100)]
}
