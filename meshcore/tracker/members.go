package tracker

import (
	"math/bits"
	"strconv"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// The lists a member stands in, as indexes of member.at.
const (
	inAll = iota
	inGroup
	inRendition
	inUploaders
)

func (s *Swarm) join(now time.Duration, id wire.PeerID, f Facts) {
	if s.banned[id] {
		s.emit(Close, id, &signal.Message{Type: signal.Drop, Peer: &id, Reason: "banned"})
		return
	}
	if m := s.members[id]; m != nil {
		m.heard, m.silent = now, false
		s.setFacts(now, m, f)
		return
	}
	m := &member{id: id, facts: f, rank: -1, octave: -1, heard: now, accounts: accounts{since: now}, allowance: s.cfg.Burst, allowedAt: now, introduced: s.past.recall(now, id)}
	s.members[id] = m
	s.all = put(s.all, m, inAll)
	if s.sweepAt == 0 {
		s.sweepAt = now + s.cfg.Silence/4
	}
}

// setFacts puts a member that came back with other facts where they belong.
func (s *Swarm) setFacts(now time.Duration, m *member, f Facts) {
	moved := m.announced && (m.facts.locality() != f.locality() || m.facts.Scope != f.Scope)
	if moved {
		s.leaveGroups(now, m)
	}
	m.facts = f
	if moved {
		s.enterGroups(m)
	}
	if m.announced {
		s.rerank(now, m)
	}
}

func (s *Swarm) remove(now time.Duration, m *member) {
	s.leaveGroups(now, m)
	s.all = take(s.all, m, inAll)
	delete(s.members, m.id)
	s.past.remember(m)
	s.doubted += m.accounts.add(&s.ended)
}

// put appends m to a list and notes its place.
func put(list []*member, m *member, which int) []*member {
	m.at[which] = len(list)
	return append(list, m)
}

// take removes m from a list by moving the last one to its place.
func take(list []*member, m *member, which int) []*member {
	last := list[len(list)-1]
	list[m.at[which]] = last
	last.at[which] = m.at[which]
	list[len(list)-1] = nil
	return list[:len(list)-1]
}

// locality is the word by which peers count as near: network before region.
func (f *Facts) locality() string {
	if f.ASN != 0 {
		return "AS" + strconv.FormatUint(uint64(f.ASN), 10)
	}
	return f.Region
}

// regroup puts m where its announcement belongs.
func (s *Swarm) regroup(now time.Duration, m *member, ann *signal.Announcement) {
	moved := !m.announced || m.ann.Rendition != ann.Rendition
	if moved && m.announced {
		s.leaveGroups(now, m)
	}
	m.ann = *ann
	if moved {
		s.enterGroups(m)
	}
	s.rerank(now, m)
}

// rerank gives m a rank if it is to take turns in fetching, and takes it if not.
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

// stopGiving takes m out of the uploaders.
func (s *Swarm) stopGiving(now time.Duration, m *member) {
	if m.duty != nil {
		s.loseRank(now, m)
	}
	m.gives = false
	m.rendition.uplinks.remove(m)
	m.rendition.uploaders = take(m.rendition.uploaders, m, inUploaders)
	m.group.giving--
}

// divide has a locality take turns by itself once it is large enough, and with
// the rest of the rendition when it is small again.
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
	m.duty, m.rank = p, len(p.ranks)
	p.ranks = append(p.ranks, m)
	s.touch(now, p)
}

func poolOf[K comparable](pools map[K]*pool, k K) *pool {
	p := pools[k]
	if p == nil {
		p = &pool{}
		pools[k] = p
	}
	return p
}

// enterGroups puts m into the pools that its announcement and facts name.
func (s *Swarm) enterGroups(m *member) {
	key := groupKey{scope: m.facts.Scope, rendition: m.ann.Rendition}
	m.rendition = poolOf(s.renditions, key)
	m.rendition.all = put(m.rendition.all, m, inRendition)
	key.locality = m.facts.locality()
	m.group = poolOf(s.groups, key)
	m.group.all = put(m.group.all, m, inGroup)
	m.announced = true
}

func (s *Swarm) leaveGroups(now time.Duration, m *member) {
	if !m.announced {
		return
	}
	if m.gives {
		s.stopGiving(now, m)
		s.divide(now, m.group, m.rendition)
	}
	key := groupKey{m.facts.Scope, m.ann.Rendition, m.facts.locality()}
	m.group.all = take(m.group.all, m, inGroup)
	if len(m.group.all) == 0 {
		delete(s.groups, key)
	}
	key.locality = ""
	m.rendition.all = take(m.rendition.all, m, inRendition)
	if len(m.rendition.all) == 0 {
		delete(s.renditions, key)
	}
	m.rendition, m.group, m.announced = nil, nil, false
}

// loseRank gives the rank of m to the last of those it takes turns with.
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

// touch has the duties of a group pushed after Settle, if it is small or takes turns
// in another number.
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

// turns is the number of turns that a group takes: as many members have each as
// [Config].Fetchers asks for. In a large group it is a power of two and stays while
// between 3/5 and 3/2 as many have it, so that it seldom changes, and who has not
// learned of a change fetches twice or half as often, but never at the turn of others.
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

// pushDuties tells the changed groups.
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
	s.emit(Send, m.id, &signal.Message{Type: signal.Peers, Duty: s.duty(m), SwarmSize: len(s.all)})
}

// duty is the turn of m.
func (s *Swarm) duty(m *member) *signal.Duty {
	if m.duty == nil {
		return nil
	}
	turns := max(1, m.duty.turns)
	return &signal.Duty{Rank: m.rank % turns, Of: turns, Fetchers: 1}
}

// sweep lets go of members that have been silent.
func (s *Swarm) sweep(now time.Duration) {
	s.sweepAt = now + s.cfg.Silence/4
	for i := len(s.all) - 1; i >= 0; i-- {
		if i < len(s.all) && now-s.all[i].heard > s.cfg.Silence {
			m := s.all[i]
			s.remove(now, m)
			s.emit(Close, m.id, &signal.Message{Type: signal.ErrorMsg, Code: "silent", Detail: "no message for too long; open a new session"})
		}
	}
}
