package tracker

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// maxPast bounds the memory of sessions that left.
const maxPast = 1 << 16

// acquaintance counts whom a session has met in this hour, because a peer's
// address is what it shows to whom it meets: who asks for peers again and again
// must not have the addresses of a whole audience, nor who waits for their offers.
type acquaintance struct {
	told  int // new peers that it was told of
	shown int // new peers that were told of it
	from  time.Duration
}

// in begins anew when the hour is over.
func (a *acquaintance) in(now time.Duration) *acquaintance {
	if now-a.from >= time.Hour {
		*a = acquaintance{from: now}
	}
	return a
}

func (s *Swarm) maxTold(m *member) int {
	if m.facts.MaxTold > 0 {
		return m.facts.MaxTold
	}
	return s.cfg.MaxTold
}

// remember keeps what a session that leaves has met, so that coming back with the
// same pass is no way to be told of more.
func (s *Swarm) remember(m *member) {
	if m.met.told == 0 && m.met.shown == 0 {
		return
	}
	if len(s.pastOrder) == maxPast {
		delete(s.past, s.pastOrder[0])
		s.pastOrder = s.pastOrder[1:]
	}
	s.past[m.id] = m.met
	s.pastOrder = append(s.pastOrder, m.id)
}

// recall gives what a session that joins has met before.
func (s *Swarm) recall(now time.Duration, id wire.PeerID) acquaintance {
	met, ok := s.past[id]
	if !ok {
		return acquaintance{from: now}
	}
	delete(s.past, id)
	return met
}
