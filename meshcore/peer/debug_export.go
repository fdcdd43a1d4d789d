package peer

import (
	"fmt"
	"time"
)

func (e *Engine) Debug(now time.Duration) string {
	s := fmt.Sprintf("pos %v playing %v fetches %d planAt %v nb %d swarm %d\n", e.playhead(now), e.playing, e.fetches, e.planAt, e.connected(), e.swarmSize)
	for _, g := range e.wanted {
		s += fmt.Sprintf("  seq %d start %v chunks %d have %x asked %x checking %x origin %x fetching %d whole %v proven %v pf %d held %d retry %v\n", g.Sequence, g.Start, g.chunks, g.have, g.asked, g.checking, g.origin, g.fetching, g.whole, g.proven, g.proofFrom, len(g.held), g.retryAt)
	}
	for _, n := range e.slots {
		if n != nil {
			s += fmt.Sprintf("  nb %v up %v pend %d %d rate %.0f busy %v strikes %d\n", n.id, n.up, len(n.pending), n.pendingBytes, n.rate, n.busyUntil, n.strikes)
		}
	}
	return s
}
