package peer

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// planOrigin takes s, or what is missing of it, from the origin if it is time
// to, and returns when to look again.
func (e *Engine) planOrigin(now time.Duration, s *segment) time.Duration {
	slow := endSlowFetch(e, now, s)
	return min(slow, e.planFetch(now, s))
}

func (e *Engine) planFetch(now time.Duration, s *segment) time.Duration {
	if s.fetching >= maxFetches || (s.fetching > 0 && !s.proven) {
		return never // the end of a fetch, or the proof, plans anew
	}
	if now < s.retryAt {
		return s.retryAt
	}
	if at := waitForPeers(e, now, s); at > now {
		return at
	}
	if cooperates(e, now) && !s.Private {
		return planStripe(e, now, s)
	}
	at := fetchTime(e, now, s)
	if now < at {
		return at
	}
	left := s.due - now
	if left <= urgent(e, s) {
		return e.fetchUrgent(now, s)
	}
	if s.fetching > 0 || (e.fetches >= 2 && !onDuty(e, s)) {
		return never // the end of a fetch plans anew
	}
	if mask := s.missing(); s.chunks == 0 || mask != 0 {
		e.fetch(now, s, mask)
	}
	return never
}

// fetchUrgent takes from the origin what neighbors will not bring in time: all
// that is not asked of them, what they are late with, and, in the endgame, all
// that has not come.
func (e *Engine) fetchUrgent(now time.Duration, s *segment) time.Duration {
	endgame := s.due-now <= e.originTime(s.bytes(s.asked))+2*e.originDev+250*time.Millisecond
	again := never
	for _, n := range e.slots {
		if n == nil || s.asked == 0 {
			continue
		}
		var late, cum int64
		var mask uint64
		for i := range n.pending {
			p := &n.pending[i]
			cum += p.bytes
			if p.seg != s {
				continue
			}
			at := max(now, n.lastAt) + time.Duration(float64(cum)/n.rate*float64(time.Second))
			if endgame || at > s.due-100*time.Millisecond || !s.proven {
				mask |= 1 << p.index
				late++
			}
		}
		if late > 0 {
			e.takePending(n, s, mask)
			e.send(n, wire.Message{Type: wire.Cancel, Segment: s.ID, Mask: mask})
		}
	}
	if mask := s.missing(); s.chunks == 0 || mask != 0 || !s.proven {
		e.fetch(now, s, mask)
	}
	if s.asked != 0 {
		again = now + 100*time.Millisecond
	}
	return again
}

// fetch takes chunks of s from the origin; without a proof it takes all of it. Of a
// stripe, and of what none of them has, the neighbors hear at once, so that they do not
// take it, too.
func (e *Engine) fetch(now time.Duration, s *segment, mask uint64) {
	stripe := uint64(0)
	if cooperates(e, now) {
		stripe = mask
	}
	if e.upload && !s.Private && !s.shut && (stripe != 0 || s.have == 0 && s.copies == 0) {
		for _, n := range e.slots {
			if n != nil && n.up {
				e.send(n, wire.Message{Type: wire.Have, Haves: []wire.SegmentHave{{Segment: s.ID, Mask: stripe}}})
			}
		}
	}
	if !s.proven {
		mask = 0
		s.origin = s.all &^ s.have
	} else {
		if mask == 0 {
			return
		}
		s.origin |= mask
	}
	if s.fetching == 0 {
		e.under = append(e.under, s)
		s.fetchedAt, s.fetched, s.fetchedWhole = now, 0, mask == 0
	}
	s.fetching++
	e.fetches++
	e.emit(Effect{Kind: FetchOrigin, Segment: s.ID, Chunks: mask})
}

func (e *Engine) onOrigin(now time.Duration, in *Input) {
	s := e.lookup(in.Segment)
	if s == nil {
		return
	}
	switch in.Kind {
	case OriginProof:
		e.prove(now, s, in)
		askDisputed(e, now, s)
	case OriginChunk:
		if !s.proven || int(in.Chunk) >= s.chunks {
			return
		}
		bit := uint64(1) << in.Chunk
		e.report.OriginBytes += in.Bytes
		if s.have&bit != 0 {
			e.report.DuplicateBytes += in.Bytes
		}
		s.origin &^= bit
		s.fetched += in.Bytes
		if s.asked&bit != 0 {
			for _, n := range e.slots {
				if n != nil && e.takePending(n, s, bit) != 0 {
					e.send(n, wire.Message{Type: wire.Cancel, Segment: s.ID, Mask: bit})
				}
			}
		}
		e.gain(now, s, bit)
	case OriginDone:
		e.report.OriginBytes += in.Bytes
		cancelled := s.cancelled > 0 && (!in.OK || s.fetching == 0)
		if cancelled {
			s.cancelled--
		} else if s.fetching > 0 {
			s.fetching--
			e.fetches--
			if s.fetching == 0 {
				s.origin = 0
				e.under = slices.DeleteFunc(e.under, func(x *segment) bool { return x == s })
			}
		}
		if !in.OK && cancelled {
			// We wanted no more of it.
		} else if !in.OK {
			s.failures++
			s.retryAt = now + time.Duration(min(s.failures, 8))*250*time.Millisecond
		} else {
			s.failures = 0
			switch {
			case s.whole:
			case !s.proven:
				s.whole = true
				s.Size = in.Bytes
				e.stored += s.Size
				e.complete(now, s)
			case in.Bytes > 0:
				e.disown(now, s)
			}
		}
	}
	e.dirty(now)
}

// disown takes a segment whose bytes at the origin do not bear its proof out: it is
// whole, for this player alone, and neighbors are told that it is not to be had.
func (e *Engine) disown(now time.Duration, s *segment) {
	e.stored += s.Size - s.bytes(s.have)
	s.whole, s.shut, s.have = true, true, 0
	e.takeBack(s)
	e.complete(now, s)
}
