package tracker

import (
	"math/bits"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

func (s *Swarm) rerank(now time.Duration, m *member) {
	switch {
	case m.uploads() && !m.gives:
		m.gives = true
		m.rendition.uploaders = put(m.rendition.uploaders, m, inUploaders)
		m.group.giving++
	case !m.uploads() && m.gives:
		s.stopGiving(now, m)
	}
	if m.gives {
		m.rendition.uplinks.move(m)
	}
	switch fetches := m.gives && !m.rendition.uplinks.slow(m); {
	case fetches && m.duty == nil:
		if m.group.own {
			s.gainRank(now, m, m.group)
		} else {
			s.gainRank(now, m, m.rendition)
		}
	case !fetches && m.duty != nil:
		s.loseRank(now, m)
	}
	s.divide(now, m.group, m.rendition)
}

func (s *Swarm) stopGiving(now time.Duration, m *member) {
	if m.duty != nil {
		s.loseRank(now, m)
	}
	m.gives = false
	m.rendition.uplinks.remove(m)
	m.rendition.uploaders = take(m.rendition.uploaders, m, inUploaders)
	m.group.giving--
}

func (s *Swarm) divide(now time.Duration, group, rendition *pool) {
	from, to := rendition, group
	switch {
	case !group.own && group.giving >= s.cfg.OwnGroup:
		group.own = true
	case group.own && group.giving < s.cfg.OwnGroup/2:
		group.own = false
		from, to = group, rendition
	default:
		return
	}
	for _, m := range group.all {
		if m.duty == from {
			s.loseRank(now, m)
			s.gainRank(now, m, to)
		}
	}
}

func (s *Swarm) gainRank(now time.Duration, m *member, p *pool) {
	m.duty, m.rank = p, int32(len(p.ranks))
	p.ranks = append(p.ranks, m)
	s.touch(now, p)
}

func (s *Swarm) loseRank(now time.Duration, m *member) {
	p := m.duty
	last := p.ranks[len(p.ranks)-1]
	p.ranks[m.rank] = last
	last.rank = m.rank
	p.ranks[len(p.ranks)-1] = nil
	p.ranks = p.ranks[:len(p.ranks)-1]
	m.rank, m.duty = -1, nil
	if s.touch(now, p); last != m && len(p.ranks) > s.cfg.SmallGroup {
		s.tellDuty(last) // all others go on as they did
	}
}

func (s *Swarm) touch(now time.Duration, p *pool) {
	turns := s.turns(p)
	if p.dirty || (len(p.ranks) > s.cfg.SmallGroup && turns == p.turns) {
		return
	}
	p.turns, p.dirty = turns, true
	s.changed = append(s.changed, p)
	if s.pushAt == 0 {
		s.pushAt = now + s.cfg.Settle
	}
}

func (s *Swarm) turns(p *pool) int {
	n := len(p.ranks)
	k := s.cfg.Fetchers(n)
	if n <= s.cfg.SmallGroup {
		return max(1, n/k)
	}
	if t := p.turns; t&(t-1) == 0 && 5*n >= 3*k*t && 2*n < 3*k*t {
		return t
	}
	return 1 << (bits.Len(uint(max(1, 4*n/(3*k)))) - 1)
}

func (s *Swarm) pushDuties() {
	for _, p := range s.changed {
		p.dirty = false
		p.turns = s.turns(p)
		for _, m := range p.ranks {
			s.tellDuty(m)
		}
	}
	s.changed = s.changed[:0]
	s.pushAt = 0
}

func (s *Swarm) tellDuty(m *member) {
	s.emit(Send, m.id, s.peersMessage(m))
}

// peersMessage is a list of peers for m without any. Who meets nobody fetches all, as if it
// were the only viewer.
func (s *Swarm) peersMessage(m *member) *signal.Message {
	answer := &signal.Message{Type: signal.Peers, Duty: s.duty(m), SwarmSize: len(s.all), OriginWaitMS: s.originWait.Milliseconds()}
	if m.alone || !s.meets() {
		answer.Duty, answer.SwarmSize = &signal.Duty{Rank: 0, Of: 1, Fetchers: 1}, 1
	}
	return answer
}

// meets reports whether members are introduced to each other (Facts.MinViewers).
func (s *Swarm) meets() bool {
	switch n := len(s.all); {
	case n >= s.minViewers:
		s.meeting = true
	case 2*n < s.minViewers:
		s.meeting = false
	}
	return s.meeting
}

func (s *Swarm) duty(m *member) *signal.Duty {
	if m.duty == nil {
		return nil
	}
	turns := max(1, m.duty.turns)
	return &signal.Duty{Rank: int(m.rank) % turns, Of: turns, Fetchers: 1}
}
