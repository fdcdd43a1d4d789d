package peer

import (
	"math/bits"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// plan decides what to ask of whom. It runs when something changed and when a
// time it gave itself has come.
func (e *Engine) plan(now time.Duration) {
	e.planAt = never
	if now >= e.expireAt {
		e.expireAt = e.expire(now)
	}
	wake := never
	e.passPlayed(now)
	cancelObsolete(e, now)

	e.order = e.order[:0]
	for _, s := range e.needed {
		if !s.wanted {
			e.order = append(e.order, s)
		}
	}
	for _, s := range e.wanted {
		if !s.whole {
			e.order = append(e.order, s)
		}
	}
	e.arrange(now)
	e.waits = false
	for _, s := range e.order {
		e.waits = e.waits || s.due <= now
		wake = min(wake, e.planOrigin(now, s))
	}
	e.ready = 0
	measured, sum, unknown := 0, 0.0, uint64(0)
	for set := e.giving; set != 0; set &= set - 1 {
		slot := bits.TrailingZeros64(set)
		p := &e.paces[slot]
		if p.busyUntil > now {
			wake = min(wake, p.busyUntil)
		} else if p.room() > 0 {
			e.ready |= 1 << slot
		}
		if p.measured(now) {
			measured++
			sum += p.rate
		} else {
			unknown |= 1 << slot
		}
	}
	for set := unknown; set != 0; set &= set - 1 {
		p := &e.paces[bits.TrailingZeros64(set)]
		p.hoped = 0
		if measured > 0 && p.strikes == 0 {
			p.hoped = sum / float64(measured)
		}
	}
	if e.manifest == nil || len(e.manifest.Segments) == 0 {
		e.ready = 0 // the viewer takes nothing of peers, not even what its player waits for
	}
	for _, s := range e.order {
		if e.ready == 0 {
			break
		}
		wake = min(wake, e.planPeers(now, s))
	}
	e.planAt = min(e.planAt, wake)
	e.planAt = min(e.planAt, e.expireAt)
	if !e.live {
		e.planAt = min(e.planAt, e.widenAt)
	}
}

// arrange puts the segments that are not complete in the order of before. It is
// an insertion sort, because from one plan to the next little changes.
func (e *Engine) arrange(now time.Duration) {
	for _, s := range e.order {
		s.due = e.deadline(now, s)
		s.quick = hurried(e, s) && (now < s.coming || (s.all != 0 && s.all&^(s.have|s.checking|covered(e, s)) == 0))
		s.near = s.due-now < 2*urgent(e, s)
		s.copies = bits.OnesCount64(s.owners)
	}
	o := e.order
	for i := 1; i < len(o); i++ {
		for j := i; j > 0 && before(o[j], o[j-1]); j-- {
			o[j], o[j-1] = o[j-1], o[j]
		}
	}
}

// before is the order in which segments are asked for: those whose deadline is
// near by deadline, then the others, rarest first.
func before(a, b *segment) bool {
	switch {
	case a.near != b.near:
		return a.near
	case !a.near && a.copies != b.copies:
		return a.copies < b.copies
	}
	return a.due < b.due
}

// room is how many bytes more may be asked of a neighbor now.
func (p *pace) room() int64 {
	return max(int64(p.rate*pipeline.Seconds()), p.minRoom) - p.pendingBytes
}

// finish is how long a neighbor would need for bytes more. One that was not measured
// lately is thought to be like the others as far as the first chunk goes, if there is
// time: else it would never be asked while another has room.
func (p *pace) finish(bytes int64, near bool) time.Duration {
	rate := p.rate
	if p.pendingBytes == 0 && !near {
		rate = max(rate, p.hoped)
	}
	return p.rtt + time.Duration(float64(p.pendingBytes+bytes)/rate*float64(time.Second))
}

// measured says whether the neighbor's rate is known from a chunk that came lately.
func (p *pace) measured(now time.Duration) bool { return p.lastAt != 0 && now-p.lastAt < remeasure }

// planPeers asks the ready neighbors for missing chunks of s: again and again
// the neighbor that would deliver first is asked for the chunk that the fewest
// neighbors have. It returns when to plan anew for the proof's sake.
func (e *Engine) planPeers(now time.Duration, s *segment) time.Duration {
	wake := never
	if s.proofFrom >= 0 && !s.proven {
		if now < s.proofBy {
			wake = s.proofBy
		} else {
			if n := e.slots[s.proofFrom]; n != nil {
				e.strike(now, n)
			}
			s.proofFrom = -1
		}
	}
	missing := s.missing()
	if missing == 0 || s.Private {
		if missing == 0 && !s.proven && s.proofFrom < 0 && len(s.held) > 0 {
			e.askProof(now, s)
		}
		return wake
	}
	if s.fetching > 0 && !s.proven {
		return wake // all of it is on its way
	}
	together := cooperates(e, now)
	left, own := s.due-now, urgent(e, s)
	if left <= own && s.retryAt <= now && !together {
		return wake // planOrigin has it
	}
	by := left
	if !together && left > own {
		by -= own // from then on it comes from the origin
	}
	if rest := startGoal - (now - e.startedAt); together && !e.begun && rest > startGoal/4 {
		by += rest // those who play, or came before, need theirs sooner
	}
	var mask [64]uint64
	size := s.chunkBytes()
	start := uint(e.chance(s) % uint64(s.chunks))
	asked := false
	over, relayAt := overRelay(e, now, s)
	wake = min(wake, relayAt)
	for missing != 0 {
		var best *neighbor
		var bestAt time.Duration
		for set := e.ready & s.owners; set != 0; set &= set - 1 {
			slot := bits.TrailingZeros64(set)
			p := &e.paces[slot]
			if offer(e, s, slot, missing, over) == 0 || p.room() <= 0 {
				continue
			}
			if at := p.finish(size, s.near); best == nil || at < bestAt {
				best, bestAt = e.slots[slot], at
			}
		}
		if best == nil || (bestAt > left && e.playing && asked && !together) {
			break
		}
		if bestAt > left && e.playing && left > 0 && !together {
			break // too late from any neighbor: planOrigin takes it
		}
		c := rarest(s.theirs, offer(e, s, best.slot, missing, over), start)
		bit := uint64(1) << c
		missing &^= bit
		s.asked |= bit
		s.requested[best.slot] |= bit
		mask[best.slot] |= bit
		asked = true
		bytes := s.bytes(bit)
		// A neighbor is given up when it takes three times as long as expected,
		// and the two seconds that a full uplink may keep a request.
		best.pending = append(best.pending, pending{seg: s, index: uint8(c), bytes: bytes, at: now,
			by: now + 3*bestAt + 2*time.Second})
		e.expireAt = min(e.expireAt, best.pending[len(best.pending)-1].by)
		best.pendingBytes += bytes
		if best.relayed && !spendRelay(e, bytes) {
			over = 0
		}
		best.minRoom = 2 * size
	}
	if !asked {
		return wake
	}
	for set := e.ready & s.owners; set != 0; set &= set - 1 {
		n := e.slots[bits.TrailingZeros64(set)]
		if m := mask[n.slot]; m != 0 {
			req := wire.Message{Type: wire.Request, Segment: s.ID, Mask: m, Within: uint32(min(max(by, 0), time.Hour).Milliseconds()), Root: s.root}
			if !s.proven && s.proofFrom < 0 {
				req.Flags |= wire.FlagProof
				s.proofFrom = n.slot
				s.proofBy = now + 3*n.rtt + time.Second
				wake = min(wake, s.proofBy)
			}
			e.send(n, req)
		}
		if n.room() <= 0 {
			e.ready &^= 1 << n.slot
		}
	}
	return wake
}

// askProof asks another neighbor for the proof of a segment whose chunks are
// here and cannot be checked.
func (e *Engine) askProof(now time.Duration, s *segment) {
	for _, n := range e.slots {
		if n != nil && n.up && n.busyUntil <= now && s.theirs[n.slot] != 0 {
			e.send(n, wire.Message{Type: wire.Request, Segment: s.ID, Flags: wire.FlagProof})
			s.proofFrom, s.proofBy = n.slot, now+3*n.rtt+time.Second
			e.planAt = min(e.planAt, s.proofBy)
			return
		}
	}
}

// rarest gives the bit of avail that is set in the fewest of theirs; among
// equals the first from start on, so that neighbors ask for different ones.
func rarest(theirs []uint64, avail uint64, start uint) int {
	if avail&(avail-1) == 0 {
		return bits.TrailingZeros64(avail)
	}
	// Bits that few have stay in once and twice: a carry-save count to three.
	var one, two, more uint64
	for _, m := range theirs {
		m &= avail
		more |= two & m & one
		two |= one & m
		one |= m
	}
	for _, set := range [...]uint64{one &^ two, two &^ more, more} {
		if set &= avail; set != 0 {
			r := bits.RotateLeft64(set, -int(start))
			return (bits.TrailingZeros64(r) + int(start)) % 64
		}
	}
	return bits.TrailingZeros64(avail)
}

// expire gives up what neighbors did not deliver in time, and returns when to
// look again, at the latest.
func (e *Engine) expire(now time.Duration) time.Duration {
	wake := never
	for _, n := range e.slots {
		switch {
		case n == nil:
			continue
		case n.strikes >= maxStrikes: // silent
			if by := n.heardAt + silence; now < by {
				wake = min(wake, by)
			} else {
				e.dropSilent(now, n)
			}
			continue
		case len(n.pending) == 0:
			continue
		}
		// A neighbor that delivers is late only when the next chunk is.
		by := max(n.pending[0].by, n.lastAt+n.rtt+time.Second/2)
		if now < by {
			wake = min(wake, by)
			continue
		}
		e.withdraw(n)
		if e.strike(now, n); n.strikes >= maxStrikes {
			wake = min(wake, n.heardAt+silence)
		}
	}
	return wake
}

// withdraw cancels all that is asked of a neighbor.
func (e *Engine) withdraw(n *neighbor) {
	for len(n.pending) > 0 {
		s := n.pending[0].seg
		if mask := e.takePending(n, s, ^uint64(0)); mask != 0 {
			e.send(n, wire.Message{Type: wire.Cancel, Segment: s.ID, Mask: mask})
		}
	}
}

// strike demotes a neighbor that let a time pass. The first in a row asks whether it is
// there, and the third decides: one that answered is slow and dropped; one that said
// nothing is asked for nothing until it is heard again, because its path may come back.
func (e *Engine) strike(now time.Duration, n *neighbor) {
	n.rate = max(n.rate/2, 1000)
	n.strikes++
	n.busyUntil = now + time.Duration(n.strikes)*500*time.Millisecond
	switch {
	case n.strikes == 1:
		n.struckAt = now
		e.send(n, wire.Message{Type: wire.Ping, Nonce: uint32(n.slot)})
	case n.strikes < maxStrikes:
	case n.heardAt <= n.struckAt:
		e.withdraw(n)
		n.busyUntil = never
		e.ready &^= 1 << n.slot
		e.expireAt = min(e.expireAt, n.heardAt+silence)
	default:
		e.dropSlow(now, n)
	}
	e.dirty(now)
}
