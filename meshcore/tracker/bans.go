package tracker

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// maxApart bounds how many peers a member is kept apart from; the latest count.
const maxApart = 64

// complain keeps a member apart from a peer that it complains of. That is all, whoever
// and however many complain, because a complaint proves nothing.
func complain(m *member, of wire.PeerID) {
	if of == m.id || slices.Contains(m.complained, of) {
		return
	}
	if len(m.complained) == maxApart {
		m.complained = slices.Delete(m.complained, 0, 1)
	}
	m.complained, m.accuses = append(m.complained, of), true
}

// keptApart reports whether one of two members has complained of the other.
func keptApart(a, b *member) bool {
	return a.accuses && slices.Contains(a.complained, b.id) || b.accuses && slices.Contains(b.complained, a.id)
}

// convict bans a peer that evidence has shown to have given a wrong chunk, whether it is
// still there or not, and has those who know it drop it.
func convict(s *Swarm, now time.Duration, id wire.PeerID) {
	if s.banned[id] {
		return
	}
	s.banned[id] = true
	m := s.members[id]
	drop := &signal.Message{Type: signal.Drop, Peer: &id, Reason: "banned"}
	for _, other := range s.all {
		if other != m && (len(s.all) <= s.cfg.SmallGroup || m != nil && m.known.has(other.id) || other.known.has(id)) {
			s.emit(Send, other.id, drop)
		}
	}
	s.emit(Ban, id, nil)
	if m != nil {
		s.remove(now, m)
		s.emit(Close, id, drop)
	}
}
