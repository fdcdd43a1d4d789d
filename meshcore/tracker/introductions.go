package tracker

import (
	"container/list"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

const (
	// maxPast bounds the memory of sessions that left.
	maxPast = 1 << 16
	// maxKnown bounds the memory of whom a member was introduced to: twice as many as it has
	// neighbors.
	maxKnown = 64
)

// introductions counts whom a session was introduced to in this hour, because a peer's
// address is what it shows to whom it meets: who asks for peers again and again
// must not have the addresses of a whole audience, nor who waits for their offers.
type introductions struct {
	told  int32 // new peers that it was told of
	shown int32 // new peers that were told of it
	from  time.Duration
}

// in begins anew when the hour is over.
func (a *introductions) in(now time.Duration) *introductions {
	if now-a.from >= time.Hour {
		*a = introductions{from: now}
	}
	return a
}

// known is whom a member was introduced to by either's announce, the latest last.
type known struct {
	ids      []wire.PeerID
	prefixes []uint16 // of them: the low bits of Place.prefix, which tell whom to look at
}

// note notes that a member was introduced to o just now, and reports whether that is new to it.
func (k *known) note(o *card) bool {
	i := slices.Index(k.ids, o.id)
	fresh := i < 0
	if fresh && len(k.ids) < maxKnown {
		k.ids, k.prefixes = append(k.ids, o.id), append(k.prefixes, uint16(o.place.prefix>>1))
		return true
	}
	if fresh {
		i = 0 // the one of longest ago is forgotten
	}
	copy(k.ids[i:], k.ids[i+1:])
	copy(k.prefixes[i:], k.prefixes[i+1:])
	last := len(k.ids) - 1
	k.ids[last], k.prefixes[last] = o.id, uint16(o.place.prefix>>1)
	return fresh
}

// has reports whether a member was introduced to another lately.
func (k *known) has(id wire.PeerID) bool { return slices.Contains(k.ids, id) }

// haveMet reports whether one of two peers was told of the other.
func haveMet(m, o *member) bool { return m.known.has(o.id) || o.known.has(m.id) }

// past is what sessions that left were introduced to and had reported, the longest ago first.
type past struct {
	order list.List                     // of departed
	byID  map[wire.PeerID]*list.Element // places in order
}

// departed is a session that left.
type departed struct {
	id wire.PeerID
	introductions
	said *signal.Report // nil for nothing
}

// remember keeps what a session that leaves was introduced to, so that coming back
// with the same pass is no way to be told of more, and what it had reported, so that this
// counts once.
func (p *past) remember(m *member) {
	said := m.accounts.said()
	if m.introduced.told == 0 && m.introduced.shown == 0 && said == nil {
		return
	}
	if p.order.Len() == maxPast {
		p.recall(0, p.order.Front().Value.(departed).id)
	}
	p.byID[m.id] = p.order.PushBack(departed{m.id, m.introduced, said})
}

// recall takes out what a session that joins was introduced to before, and had reported.
func (p *past) recall(now time.Duration, id wire.PeerID) (introductions, *signal.Report) {
	e, ok := p.byID[id]
	if !ok {
		return introductions{from: now}, nil
	}
	delete(p.byID, id)
	d := p.order.Remove(e).(departed)
	return d.introductions, d.said
}
