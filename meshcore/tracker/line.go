package tracker

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// line bounds what one member has forwarded to another, in bytes: lineBurst at once, for
// several connections, and lineRate a second over time. So nobody fills the queue of
// another's signaling.
type line struct {
	to   wire.PeerID
	left float64
	at   time.Duration
}

const (
	lineBurst = 96 << 10
	lineRate  = 2 << 10
	maxLines  = 256 // that a member has before all are forgotten
)

// refill returns what may be forwarded at time now.
func (l *line) refill(now time.Duration) float64 {
	return min(lineBurst, l.left+lineRate*(now-l.at).Seconds())
}

// lines are those of one member that are in use.
type lines []line

// take takes bytes from what may be forwarded to a peer; false if there are not so many
// left. Lines that nothing was forwarded on for so long that they are full again are forgotten.
func (ls *lines) take(now time.Duration, to wire.PeerID, bytes int) bool {
	i := slices.IndexFunc(*ls, func(l line) bool { return l.to == to })
	if i < 0 {
		*ls = slices.DeleteFunc(*ls, func(l line) bool { return l.refill(now) == lineBurst })
		if len(*ls) == maxLines {
			*ls = nil
		}
		i = len(*ls)
		*ls = append(*ls, line{to: to, left: lineBurst, at: now})
	}
	l := &(*ls)[i]
	l.left, l.at = l.refill(now), now
	if l.left < float64(bytes) {
		return false
	}
	l.left -= float64(bytes)
	return true
}

// settle forgets all lines once they are full again.
func (ls *lines) settle(now time.Duration) {
	if *ls != nil && !slices.ContainsFunc(*ls, func(l line) bool { return l.refill(now) < lineBurst }) {
		*ls = nil
	}
}
