package sim

import "time"

// ceiling works out the most that peers can give of all segment bytes, from who
// was there when and wanted what, whatever the policy:
//
//   - Live: of each segment of each rendition one copy at least comes from the
//     origin: (N-1)/N for N viewers that want it.
//   - VOD: a viewer can have a segment from others only if one who came before it
//     is still there when it wants it first, the buffer goal ahead of its
//     playhead. For Poisson arrivals and no buffer this is (1 - (1 - e^-c)/c) on
//     average, c viewers being there.
//   - Both: no more than the uplinks of those who give, at any time: rho, their mean uplink over the rate,
//     "at most 1 - max(1/N, 1 - rho)".
//   - Where all viewers are behind NATs that do not reach each other, those behind
//     symmetric ones get nothing, unless there is a relay.
//
// Faults are not taken into account: the bound is that of honest viewers.
type ceiling struct {
	sc   *Scenario
	rate float64 // demand of one viewer, in bytes/s

	// Sums over time.
	at             time.Duration
	n              int
	uplinks        float64 // bytes/s of those who give
	demand, supply float64
	came, open     int // viewers, and those of them with an open NAT
	isolated       int // those behind a symmetric one

	// Live: how many more want segment i than segment i-1, by rendition.
	change [][]int32
	// VOD: all who came, in order.
	visits []*node
}

func newCeiling(sc *Scenario) ceiling {
	c := ceiling{sc: sc, change: make([][]int32, len(sc.Renditions))}
	for _, r := range sc.Renditions {
		c.rate += bytesPerSecond(r) / float64(len(sc.Renditions))
	}
	return c
}

// here notes that a viewer comes (+1) or goes (-1).
func (c *ceiling) here(now time.Duration, n *node, by int) {
	c.move(now)
	c.n += by
	c.uplinks += n.gives() * float64(by)
	if by < 0 {
		return
	}
	c.came++
	switch n.nat {
	case natOpen:
		c.open++
	case natSymmetric:
		c.isolated++
	}
	if !c.sc.Live {
		c.visits = append(c.visits, n)
	}
}

// move brings the sums to now.
func (c *ceiling) move(now time.Duration) {
	dt := max(0, now-c.at).Seconds() // turns within a window are not in order
	c.at = max(c.at, now)
	d := float64(c.n) * c.rate
	c.demand += d * dt
	c.supply += min(d, c.uplinks) * dt
}

func (c *ceiling) watched(rendition int, first, last int64) {
	if !c.sc.Live || last < first {
		return
	}
	ch := &c.change[rendition]
	for int64(len(*ch)) <= last+1 {
		*ch = append(*ch, 0)
	}
	(*ch)[first]++
	(*ch)[last+1]--
}

// share is the ceiling, 0 to 1, when the run has ended.
func (c *ceiling) share(end time.Duration) float64 {
	c.move(end)
	if c.demand == 0 {
		return 0
	}
	share := c.liveShare()
	if !c.sc.Live {
		share = c.filmShare(end)
	}
	if c.open == 0 && !c.sc.Relay {
		share *= 1 - float64(c.isolated)/float64(c.came)
	}
	return min(share, c.supply/c.demand)
}

// liveShare is what need not come from the origin.
func (c *ceiling) liveShare() float64 {
	var all, first float64
	for r, ch := range c.change {
		n := int32(0)
		for _, d := range ch {
			n += d
			if n > 0 {
				all += float64(n) * c.sc.Renditions[r]
				first += c.sc.Renditions[r]
			}
		}
	}
	if all == 0 {
		return 0
	}
	return 1 - first/all
}

// filmShare is the share of the segments wanted of which somebody who came before
// was still there.
func (c *ceiling) filmShare(end time.Duration) float64 {
	var all, alone int64
	dur := seconds(c.sc.SegmentS)
	film := int64((seconds(c.sc.FilmS) + dur - 1) / dur)
	last := time.Duration(-1) // when the last of those who came before goes
	for _, n := range c.visits {
		left := min(n.player.left, end)
		for k := range film {
			wants := n.player.came + max(0, time.Duration(k)*dur-bufferGoal)
			if wants > left {
				break
			}
			all++
			if wants > last {
				alone++
			}
		}
		last = max(last, left)
	}
	if all == 0 {
		return 0
	}
	return 1 - float64(alone)/float64(all)
}
