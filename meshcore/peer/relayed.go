package peer

import (
	"math/bits"
	"time"
)

// A chunk that comes over a relay leaves the edge as one of the origin does: it spares the
// origin work, and the edge nothing. So a viewer that has direct neighbors asks over a relay
// only for what none of them has, and late, and no viewer beyond Config.RelayRate.

// overRelay returns which chunks of s may be asked of neighbors over a relay now, and when
// that is to be looked at anew.
func overRelay(e *Engine, now time.Duration, s *segment) (may uint64, wake time.Duration) {
	if e.relays&e.ready&s.owners == 0 {
		return 0, never
	}
	may = ^uint64(0)
	if direct := e.giving &^ e.relays; direct != 0 {
		if at := relayTime(e, s); now < at {
			return 0, at
		}
		for set := direct & s.owners; set != 0; set &= set - 1 {
			may &^= s.theirs[bits.TrailingZeros64(set)]
		}
	}
	if at := relayFree(e, now); now < at {
		return 0, at
	}
	return may, never
}

// relayTime is when a viewer with direct neighbors asks over a relay for what none of them
// has: each after a time of its own, so that the first passes it on to the others, and
// before the origin's turn.
func relayTime(e *Engine, s *segment) time.Duration {
	return min(s.known+time.Duration(e.fraction(s)*float64(s.slack/2)), s.due-2*urgent(e, s))
}

// relayFree is when Config.RelayRate allows another chunk; a second's worth may come at once.
func relayFree(e *Engine, now time.Duration) time.Duration {
	rate := e.cfg.RelayRate
	if rate <= 0 {
		return now
	}
	e.relayAllowance = min(rate, e.relayAllowance+float64(rate*(now-e.relayAt).Seconds()))
	e.relayAt = now
	if e.relayAllowance > 0 {
		return now
	}
	return now + time.Millisecond + time.Duration(float64(-e.relayAllowance/rate*float64(time.Second)))
}

// spendRelay counts bytes asked over a relay, and reports whether more may be.
func spendRelay(e *Engine, bytes int64) bool {
	if e.cfg.RelayRate <= 0 {
		return true
	}
	e.relayAllowance -= float64(bytes)
	return e.relayAllowance > 0
}

// offer returns what of the missing chunks of s may be asked of the neighbor in a slot.
func offer(e *Engine, s *segment, slot int, missing, overRelay uint64) uint64 {
	if e.relays>>uint(slot)&1 == 1 {
		missing &= overRelay
	}
	return s.theirs[slot] & missing
}
