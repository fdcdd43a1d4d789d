package peer

import (
	"math"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// urgent is the length of the window before a segment's deadline in which the
// origin is used without waiting: one and a half times what the origin needs for
// the rest of the segment, four times the deviation of what it needed from what
// was expected (as in RFC 6298), and some margin; at most half the slack.
func (e *Engine) urgent(s *segment) time.Duration {
	rest := s.Size
	if s.chunks > 0 {
		rest = s.bytes(s.all &^ s.have)
	}
	u := e.originTime(rest)*3/2 + 4*e.originDev + 250*time.Millisecond + time.Duration(e.fraction(s)*float64(200*time.Millisecond))
	return max(min(u, s.slack/2), 400*time.Millisecond)
}

// planOrigin takes s, or what is missing of it, from the origin if it is time
// to, and returns when to look again.
func (e *Engine) planOrigin(now time.Duration, s *segment) time.Duration {
	if s.fetching >= maxFetches || (s.fetching > 0 && !s.proven) {
		return never // the end of a fetch, or the proof, plans anew
	}
	if now < s.retryAt {
		return s.retryAt
	}
	at := e.fetchTime(now, s)
	if now < at {
		return at
	}
	left := s.due - now
	if left <= e.urgent(s) {
		return e.fetchUrgent(now, s)
	}
	if s.fetching > 0 || (e.fetches >= 2 && !e.onDuty(s)) {
		return never // the end of a fetch plans anew
	}
	if mask := s.missing(); s.chunks == 0 || mask != 0 {
		e.fetch(now, s, mask)
	}
	return never
}

// fetchTime is when this peer is to take s from the origin, as things stand.
func (e *Engine) fetchTime(now time.Duration, s *segment) time.Duration {
	urgentAt := s.due - e.urgent(s)
	alone := (e.swarmSize == 1 || now-e.startedAt > joinPatience) && e.connected() == 0
	switch {
	case s.Private || alone:
		if e.live {
			return min(urgentAt, now)
		}
		return min(urgentAt, s.due-e.cfg.OriginGoal)
	case s.copies > 0:
		return urgentAt
	case now < s.coming && !e.onDuty(s):
		// A neighbor takes it.
		return min(urgentAt, s.coming)
	case !s.fresh && now-e.startedAt <= joinPatience && (e.connected() == 0 || (!e.live && s.needBy == never)):
		// Those who have it may still be on their way to us.
		return min(urgentAt, e.startedAt+joinPatience+1)
	case ((e.live && !s.fresh) || (!e.live && s.needBy != never)) && now < e.upAt+hearing+e.spread(s):
		// The first has just come.
		return min(urgentAt, e.upAt+hearing+e.spread(s))
	case !e.live:
		// Nobody near has it. Those who wait together go at different times, and
		// the first spares the others the way.
		early := time.Duration(e.fraction(s) * float64(e.cfg.OriginGoal) / 2)
		at := s.due - e.cfg.OriginGoal + early
		if s.needBy != never {
			at = max(at, s.neededAt+e.spread(s)/8)
		}
		return min(urgentAt, at)
	case e.duty == nil || s.Sequence < 0:
		return urgentAt
	}
	// Live: the fetchers go at once; if nothing is heard of the segment, the
	// next in the rotation follow, twice as many in each tenth of the slack. A segment that was
	// there before this peer came has had its fetchers,
	// and the rank of one who has just come may not be true yet.
	d := e.duty.Distance(s.Sequence)
	if d < e.duty.Fetchers && s.fresh {
		return min(urgentAt, s.known)
	}
	turns := float64(max(d, e.duty.Fetchers)) / float64(max(1, e.duty.Fetchers))
	wait := time.Duration(float64(s.slack) * (0.35 + float64(0.1*math.Log2(turns))))
	if !s.fresh {
		wait += e.spread(s)
	}
	return min(urgentAt, s.known+wait)
}

// spread is what this peer waits beyond others with s where the rotation does not say
// who comes first: two who have just met, or begun, would else fetch it at once.
func (e *Engine) spread(s *segment) time.Duration {
	return time.Duration(e.fraction(s) * float64(hearing))
}

func (e *Engine) onDuty(s *segment) bool { return e.live && s.fresh && e.Fetches(s.Sequence) }

// Fetches says whether it is this peer's turn to take the live segment, or the part,
// of a media sequence number from the origin at once. A driver asks when a playlist
// hints at a part (EXT-X-PRELOAD-HINT), of which the engine does not know yet, and to
// look for the next segment in time: nobody has it from this peer before a playlist
// that lists it was loaded.
func (e *Engine) Fetches(sequence int64) bool {
	return e.duty != nil && sequence >= 0 && e.duty.Fetches(sequence)
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

// fetch takes chunks of s from the origin; without a proof it takes all of it. Of
// what none of them has the neighbors hear at once, so that they do not take it, too.
func (e *Engine) fetch(now time.Duration, s *segment, mask uint64) {
	if e.upload && !s.Private && !s.shut && s.have == 0 && s.copies == 0 {
		for _, n := range e.slots {
			if n != nil && n.up {
				e.send(n, wire.Message{Type: wire.Have, Haves: []wire.SegmentHave{{Segment: s.ID}}})
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
		if s.asked&bit != 0 {
			for _, n := range e.slots {
				if n != nil && e.takePending(n, s, bit) != 0 {
					e.send(n, wire.Message{Type: wire.Cancel, Segment: s.ID, Mask: bit})
				}
			}
		}
		e.gain(now, s, bit)
	case OriginDone:
		if s.fetching > 0 {
			s.fetching--
			e.fetches--
			if s.fetching == 0 {
				s.origin = 0
			}
		}
		e.report.OriginBytes += in.Bytes
		if !in.OK {
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
