package peer

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// backoffs are the peers that this one does not connect to for a while. Paths break and
// come back, so each ends: only who breaks the protocol or lies is barred.
type backoffs []backoff

type backoff struct {
	id    wire.PeerID
	until time.Duration
	wait  time.Duration // of the next
	slow  bool          // it was connected and of no use: its offers are refused, too
}

// add leaves a peer alone for firstBackoff, for twice as long each time.
func (l *backoffs) add(now time.Duration, id wire.PeerID, slow bool) {
	b := l.entry(now, id)
	b.until, b.slow = now+b.wait, slow
	b.wait = min(2*b.wait, lastBackoff)
}

// addSilent leaves a peer alone whose path died under it; not the first time.
func (l *backoffs) addSilent(now time.Duration, id wire.PeerID) {
	if b := l.entry(now, id); b.until == 0 {
		b.until = now
		return
	}
	l.add(now, id, false)
}

// entry finds the entry of a peer or makes one. Entries that ended long ago make room,
// and then those that were made first.
func (l *backoffs) entry(now time.Duration, id wire.PeerID) *backoff {
	kept := (*l)[:0]
	for _, b := range *l {
		if now < b.until+lastBackoff {
			kept = append(kept, b)
		}
	}
	for i := range kept {
		if kept[i].id == id {
			*l = kept
			return &kept[i]
		}
	}
	if len(kept) == signal.MaxFailed {
		copy(kept, kept[1:])
		kept = kept[:len(kept)-1]
	}
	*l = append(kept, backoff{id: id, wait: firstBackoff})
	return &(*l)[len(*l)-1]
}

// find returns the entry of a peer that is left alone now, or nil.
func (l backoffs) find(now time.Duration, id wire.PeerID) *backoff {
	for i := range l {
		if b := &l[i]; b.id == id && now < b.until {
			return b
		}
	}
	return nil
}

// failed lists whom the edge is not to introduce now.
func (l backoffs) failed(now time.Duration) (out []wire.PeerID) {
	for _, b := range l {
		if now < b.until {
			out = append(out, b.id)
		}
	}
	return out
}

// reached notes that bytes of a peer came: what was wrong with the path to it is over.
// A slow one keeps its entry, because it sends bytes, too.
func (l *backoffs) reached(id wire.PeerID) {
	for i, b := range *l {
		if b.id == id && !b.slow {
			*l = append((*l)[:i], (*l)[i+1:]...)
			return
		}
	}
}
