package sim

import (
	"math"
	"slices"
	"time"
)

// Result is what came of a run.
type Result struct {
	Scenario string  `json:"scenario"`
	Viewers  int     `json:"viewers"`
	Policy   Policy  `json:"policy"`
	Offload  float64 `json:"offload"` // bytes from peers / all segment bytes
	Ceiling  float64 `json:"ceiling"` // what arithmetic allows this swarm
	// OriginFetchesPerSegment is the origin's egress of a live segment in whole
	// segments, start-up included; of a VOD, per segment of the film.
	OriginFetchesPerSegment float64 `json:"origin_fetches_per_segment"`
	Stalls                  int64   `json:"stalls"`
	StallSeconds            float64 `json:"stall_seconds"`
	StartupMSP50            int64   `json:"startup_ms_p50"`
	StartupMSP95            int64   `json:"startup_ms_p95"`
	LiveLatencyMS           int64   `json:"live_latency_ms"` // median
	DuplicateBytes          int64   `json:"duplicate_bytes"`
	WallSeconds             float64 `json:"wall_seconds"` // set by the caller: the simulator has no clock

	OriginPeakMbps float64 `json:"origin_peak_mbps"` // in 10 s windows
	BadChunks      int64   `json:"bad_chunks"`       // found and thrown away
	Fairness       float64 `json:"upload_fairness"`  // Jain's index of bytes given / uplink
	OriginBytes    int64   `json:"origin_bytes"`
	PeerBytes      int64   `json:"peer_bytes"`
	Messages       int64   `json:"messages"`
}

func (w *world) result() Result {
	for i := range w.nodes {
		n := &w.nodes[i]
		if !n.here {
			continue
		}
		r := n.client.Report()
		w.m.gone(n.id, w.now, r, &n.player)
		if p := &n.player; p.started && !p.playing { // stalled at the end
			w.m.stalled(n.id, w.end-p.stalledAt)
		}
	}
	m := &w.m
	m.ceil.move(w.end)
	res := Result{
		Scenario: w.sc.Name, Viewers: w.sc.Viewers, Policy: w.policy,
		Ceiling:      w.ceiling(),
		StartupMSP50: percentile(m.startup, 50).Milliseconds(), StartupMSP95: percentile(m.startup, 95).Milliseconds(),
		LiveLatencyMS: median(m.latency).Milliseconds(), DuplicateBytes: m.dup, BadChunks: m.bad,
		OriginBytes: m.origin, PeerBytes: m.peer, Messages: m.messages,
	}
	if all := m.peer + m.origin; all > 0 {
		res.Offload = float64(m.peer) / float64(all)
	}
	var sum, sq float64
	var k int
	for i := range m.viewers {
		v := &m.viewers[i]
		res.Stalls += v.stalls
		res.StallSeconds += v.stall.Seconds()
		if n := &w.nodes[i]; !n.noUpload && v.played > time.Minute {
			x := float64(v.uploaded) / n.up / v.played.Seconds()
			sum += x
			sq += x * x
			k++
		}
	}
	if sq > 0 {
		res.Fairness = sum * sum / (float64(k) * sq)
	}
	segs := 0.0
	for _, s := range m.perSeg {
		if s > 0 {
			segs++
			res.OriginFetchesPerSegment += float64(s) / 64
		}
	}
	res.OriginFetchesPerSegment /= max(1, segs)
	if len(m.windows) > 0 {
		res.OriginPeakMbps = float64(slices.Max(m.windows)) * 8 / 10 / 1e6
	}
	return res
}

// ceiling is the most that peers can give of all segment bytes: FACTS "Bounds
// for hybrid live streaming" for a live stream, summed over time as viewers come
// and go; for a VOD, the share of the watched segments that some other viewer had
// at that time.
func (w *world) ceiling() float64 {
	if !w.sc.Live {
		return w.vodCeiling()
	}
	return w.m.ceil.share()
}

// vodCeiling follows from the arrivals: viewer i at position p can have a
// segment from a viewer who came before and has not gone.
func (w *world) vodCeiling() float64 {
	var could, all float64
	var supply float64
	film := seconds(w.sc.FilmS)
	for i := range w.nodes {
		a := w.nodes[i].player.came
		if w.nodes[i].client == nil && w.nodes[i].player.last < 0 {
			continue // never came
		}
		watched := min(film, w.end-a).Seconds()
		if watched <= 0 {
			continue
		}
		all += watched
		supply += watched * w.nodes[i].up
		if i > 0 {
			// The one before had the most time in common.
			common := min(film-(a-w.nodes[i-1].player.came), w.end-a).Seconds()
			could += max(0, min(common, watched))
		}
	}
	rate := float64(w.layouts[0].Size) / w.sc.SegmentS
	return min(could, supply/rate) / max(1, all)
}

// ceilingMeter sums, over time, demand and what peers could supply of it.
type ceilingMeter struct {
	at             time.Duration
	n              int
	uplinks        float64 // bytes/s of those who give
	demand, supply float64
	rate           float64
}

// move brings the sums to now.
func (c *ceilingMeter) move(now time.Duration) {
	dt := (now - c.at).Seconds()
	c.at = now
	if c.n == 0 || dt <= 0 {
		return
	}
	d := float64(c.n) * c.rate
	c.demand += d * dt
	c.supply += min(d*float64(c.n-1)/float64(c.n), c.uplinks) * dt
}

func (c *ceilingMeter) come(now time.Duration, up float64)  { c.move(now); c.n++; c.uplinks += up }
func (c *ceilingMeter) leave(now time.Duration, up float64) { c.move(now); c.n--; c.uplinks -= up }

func (c *ceilingMeter) share() float64 {
	if c.demand == 0 {
		return 0
	}
	return math.Min(1, c.supply/c.demand)
}
