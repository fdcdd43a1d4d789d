package peer

import (
	"math"
	"time"
)

// urgent is the length of the window before a segment's deadline in which the
// origin is used without waiting: one and a half times what the origin needs for
// the rest of the segment, four times the deviation of what it needed from what
// was expected (as in RFC 6298), and some margin; at most half the slack, or three quarters
// of it for a live segment that was there before this peer, to which no neighbor has proved
// itself by then. A segment that this peer needs as soon as it is there comes from the
// neighbors that have it, or take it, until the origin is just in time.
func urgent(e *Engine, s *segment) time.Duration {
	rest := s.Size
	if s.chunks > 0 {
		rest = s.bytes(s.all &^ s.have)
	}
	if s.quick {
		return e.originTime(rest) + 2*e.originDev
	}
	u := e.originTime(rest)*3/2 + 4*e.originDev + 250*time.Millisecond + time.Duration(e.fraction(s)*float64(200*time.Millisecond))
	share := s.slack / 2
	if e.live && !s.fresh {
		share = s.slack * 3 / 4
	}
	return max(min(u, share), 400*time.Millisecond)
}

// fetchRule is one rule of when a segment is to be taken from the origin.
type fetchRule struct {
	name    string
	applies func(e *Engine, now time.Duration, s *segment) bool
	at      func(e *Engine, now time.Duration, s *segment) time.Duration
}

// fetchRules are asked in order; the first that applies says when. The urgent window
// goes before them all.
var fetchRules = []fetchRule{
	{"alone", isAlone, asPlayer},
	{"uplinks are short", isShort, whenKnown},
	{"held by neighbors", isHeld, whenUrgent},
	{"a neighbor fetches it", isComing, func(_ *Engine, _ time.Duration, s *segment) time.Duration { return s.coming }},
	{"neighbors are on their way", isJoining, func(e *Engine, _ time.Duration, _ *segment) time.Duration { return e.startedAt + joinPatience + 1 }},
	{"the first neighbor has just come", isHearing, func(e *Engine, _ time.Duration, s *segment) time.Duration { return heardAt(e, s) }},
	{"film", func(e *Engine, _ time.Duration, _ *segment) bool { return !e.live }, filmTime},
	{"no rotation", func(e *Engine, _ time.Duration, s *segment) bool { return e.duty == nil || s.Sequence < 0 }, whenUrgent},
	{"rotation", func(*Engine, time.Duration, *segment) bool { return true }, rotationTime},
}

// fetchTime is when this peer is to take s from the origin, as things stand.
func fetchTime(e *Engine, now time.Duration, s *segment) time.Duration {
	for i := range fetchRules {
		if r := &fetchRules[i]; r.applies(e, now, s) {
			return min(whenUrgent(e, now, s), r.at(e, now, s))
		}
	}
	return whenUrgent(e, now, s)
}

func whenUrgent(e *Engine, _ time.Duration, s *segment) time.Duration { return s.due - urgent(e, s) }

// isAlone reports that there is nobody to take s from, or that nobody may have it.
func isAlone(e *Engine, now time.Duration, s *segment) bool {
	return s.Private || ((e.swarmSize == 1 || now-e.startedAt > joinPatience) && e.connected() == 0)
}

// asPlayer takes a segment as a player without neighbors does.
func asPlayer(e *Engine, now time.Duration, s *segment) time.Duration {
	if e.live {
		return now
	}
	return s.due - e.cfg.OriginGoal
}

// isShort reports that it is this peer's turn to take s early because uplinks are short.
func isShort(e *Engine, _ time.Duration, s *segment) bool {
	if !e.live || !s.fresh || hurried(e, s) || e.duty == nil || s.Sequence < 0 {
		return false
	}
	d := e.duty.Distance(s.Sequence)
	return d >= e.duty.Fetchers && float64(d) < e.share.early(e.duty.Of)
}

func whenKnown(_ *Engine, _ time.Duration, s *segment) time.Duration { return s.known }

func isHeld(_ *Engine, _ time.Duration, s *segment) bool { return s.copies > 0 }

// isComing reports that a neighbor has begun to fetch s. In a crowd those whose turn it
// is go all the same, because not everybody is a neighbor of the first.
func isComing(e *Engine, now time.Duration, s *segment) bool {
	return now < s.coming && !(onDuty(e, s) && e.crowded())
}

// hurried reports that this peer plays so near to the live edge that it needs s less
// than its duration after it has heard of it.
func hurried(e *Engine, s *segment) bool { return e.live && s.fresh && s.slack < s.Duration }

// isJoining reports that those who have s may still be on their way to us.
func isJoining(e *Engine, now time.Duration, s *segment) bool {
	return !s.fresh && now-e.startedAt <= joinPatience && (e.connected() == 0 || (!e.live && s.needBy == never))
}

// isHearing reports that the first neighbor came so lately that it may not yet have
// said what it has.
func isHearing(e *Engine, now time.Duration, s *segment) bool {
	return ((e.live && !s.fresh) || (!e.live && s.needBy != never)) && now < heardAt(e, s)
}

func heardAt(e *Engine, s *segment) time.Duration { return e.upAt + hearing + spread(e, s) }

// filmTime spreads those who wait together, so that the first spares the others the way.
func filmTime(e *Engine, _ time.Duration, s *segment) time.Duration {
	early := time.Duration(e.fraction(s) * float64(e.cfg.OriginGoal) / 2)
	at := s.due - e.cfg.OriginGoal + early
	if s.needBy != never {
		at = max(at, s.neededAt+spread(e, s)/8)
	}
	return at
}

// rotationTime has the fetchers of a live segment go at once; if nothing is heard of it,
// the next in the rotation follow, twice as many in each tenth of the slack. A segment
// that was there before this peer came has had its fetchers, and the rank of one who has
// just come may not be true yet.
func rotationTime(e *Engine, _ time.Duration, s *segment) time.Duration {
	d := e.duty.Distance(s.Sequence)
	if d < e.duty.Fetchers && s.fresh {
		return s.known
	}
	turns := float64(max(d, e.duty.Fetchers)) / float64(max(1, e.duty.Fetchers))
	wait := time.Duration(float64(s.slack) * (0.35 + float64(0.1*math.Log2(turns))))
	if !s.fresh {
		wait += spread(e, s)
	}
	return s.known + wait
}

// spread is what this peer waits beyond others with s where the rotation does not say
// who comes first: two who have just met, or begun, would else fetch it at once.
func spread(e *Engine, s *segment) time.Duration {
	return time.Duration(e.fraction(s) * float64(hearing))
}

func onDuty(e *Engine, s *segment) bool { return e.live && s.fresh && e.Fetches(s.Sequence) }
