package tracker

import (
	"container/list"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// maxPast bounds the memory of sessions that left.
const maxPast = 1 << 16

// introductions counts whom a session was introduced to in this hour, because a peer's
// address is what it shows to whom it meets: who asks for peers again and again
// must not have the addresses of a whole audience, nor who waits for their offers.
type introductions struct {
	told  int // new peers that it was told of
	shown int // new peers that were told of it
	from  time.Duration
}

// in begins anew when the hour is over.
func (a *introductions) in(now time.Duration) *introductions {
	if now-a.from >= time.Hour {
		*a = introductions{from: now}
	}
	return a
}

func (s *Swarm) maxTold(m *member) int {
	if m.facts.MaxTold > 0 {
		return m.facts.MaxTold
	}
	return s.cfg.MaxTold
}

// past is what sessions that left were introduced to, the longest ago first.
type past struct {
	order list.List                     // of departed
	byID  map[wire.PeerID]*list.Element // places in order
}

// departed is a session that left.
type departed struct {
	id wire.PeerID
	introductions
}

// remember keeps what a session that leaves was introduced to, so that coming back
// with the same pass is no way to be told of more.
func (p *past) remember(m *member) {
	if m.introduced.told == 0 && m.introduced.shown == 0 {
		return
	}
	if p.order.Len() == maxPast {
		p.recall(0, p.order.Front().Value.(departed).id)
	}
	p.byID[m.id] = p.order.PushBack(departed{m.id, m.introduced})
}

// recall takes out what a session that joins was introduced to before.
func (p *past) recall(now time.Duration, id wire.PeerID) introductions {
	e, ok := p.byID[id]
	if !ok {
		return introductions{from: now}
	}
	delete(p.byID, id)
	return p.order.Remove(e).(departed).introductions
}
