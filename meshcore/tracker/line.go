package tracker

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// line bounds what one member has forwarded to another, in bytes: lineBurst at once, for
// several connections, and lineRate a second over time. So nobody fills the queue of
// another's signaling.
type line struct {
	left float64
	at   time.Duration
}

const (
	lineBurst = 96 << 10
	lineRate  = 2 << 10
	maxLines  = 256 // that a member has before all are forgotten
)

// lines are those of one member, by whom it sends to.
type lines map[wire.PeerID]line

// take takes bytes from what may be forwarded to a peer; false if there are not so many
// left.
func (ls *lines) take(now time.Duration, to wire.PeerID, bytes int) bool {
	l, ok := (*ls)[to]
	if !ok {
		if len(*ls) >= maxLines || *ls == nil {
			*ls = lines{}
		}
		l = line{left: lineBurst}
	}
	l.left = min(lineBurst, l.left+float64(lineRate*(now-l.at).Seconds()))
	l.at = now
	ok = l.left >= float64(bytes)
	if ok {
		l.left -= float64(bytes)
	}
	(*ls)[to] = l
	return ok
}
