package tracker

import (
	"math"
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
	m := &member{rank: -1, octave: -1, heard: now, accounts: accounts{since: now}, allowance: s.cfg.Burst, allowedAt: now}
	m.id = id
	m.introduced, m.accounts.base = s.past.recall(now, id)
	m.setFacts(&f, s.cfg.MaxTold)
	s.minViewers = f.MinViewers
	s.members[id] = m
	s.all = put(s.all, m, inAll)
	if s.sweepAt == 0 {
		s.sweepAt = now + s.cfg.Silence/4
	}
}

// setFacts puts a member that came back with other facts where they belong.
func (s *Swarm) setFacts(now time.Duration, m *member, f Facts) {
	moved := m.announced && (m.locality != f.locality() || m.scope != f.Scope)
	rendition := ""
	if moved {
		rendition = m.rendition.key.rendition
		s.leaveGroups(now, m)
	}
	m.setFacts(&f, s.cfg.MaxTold)
	s.minViewers = f.MinViewers
	if moved {
		s.enterGroups(m, rendition)
	}
	if m.announced {
		s.rerank(now, m)
	}
}

// setFacts notes the facts of a member; maxTold counts if they name none.
func (m *member) setFacts(f *Facts, maxTold int) {
	if f.MaxTold > 0 {
		maxTold = f.MaxTold
	}
	m.scope, m.scopeKey, m.locality, m.place = f.Scope, hash(f.Scope), f.locality(), f.Place()
	m.receiveOnly, m.alone, m.maxTold = f.ReceiveOnly || f.Alone, f.Alone, int32(min(maxTold, math.MaxInt32))
}

func (s *Swarm) remove(now time.Duration, m *member) {
	s.leaveGroups(now, m)
	s.all = take(s.all, m, inAll)
	delete(s.members, m.id)
	s.past.remember(m)
	sums := &s.ended
	if m.alone {
		sums = &s.control
	}
	s.doubted += m.accounts.add(sums)
}

// put appends m to a list and notes its place.

func put(list []*member, m *member, which int) []*member {
	m.at[which] = int32(len(list))
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

// regroup puts m where its announcement belongs.
func (s *Swarm) regroup(now time.Duration, m *member, ann *signal.Announcement) {
	moved := !m.announced || m.rendition.key.rendition != ann.Rendition
	if moved && m.announced {
		s.leaveGroups(now, m)
	}
	m.live, m.upload, m.positionMS, m.uplinkBPS = ann.Live, ann.Upload, ann.PositionMS, ann.UplinkBPS
	m.neighbors, m.relayed, m.pending = int32(min(ann.Neighbors, math.MaxInt16)), int32(min(ann.Relayed, math.MaxInt16)), 0
	if moved {
		s.enterGroups(m, ann.Rendition)
	}
	s.rerank(now, m)
}

func poolOf(pools map[groupKey]*pool, k groupKey) *pool {
	p := pools[k]
	if p == nil {
		p = &pool{key: k}
		pools[k] = p
	}
	return p
}

// enterGroups puts m into the pools of its facts and a rendition.
func (s *Swarm) enterGroups(m *member, rendition string) {
	key := groupKey{scope: m.scope, rendition: rendition}
	m.rendition = poolOf(s.renditions, key)
	m.rendition.all = put(m.rendition.all, m, inRendition)
	key.locality = m.locality
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
	m.group.all = take(m.group.all, m, inGroup)
	if len(m.group.all) == 0 {
		delete(s.groups, m.group.key)
	}
	m.rendition.all = take(m.rendition.all, m, inRendition)
	if len(m.rendition.all) == 0 {
		delete(s.renditions, m.rendition.key)
	}
	m.rendition, m.group, m.announced = nil, nil, false
}

// maxSwept is how many members are looked at at once for silence.
const maxSwept = 1024

// sweep lets go of members that have been silent. It looks at each once in a quarter of
// [Config].Silence, and at a large swarm bit by bit.
func (s *Swarm) sweep(now time.Duration) {
	n := min(len(s.all), maxSwept)
	s.sweepAt = now + s.cfg.Silence/4*time.Duration(max(n, 1))/time.Duration(max(len(s.all), 1))
	for range n {
		if s.swept--; s.swept < 0 || s.swept >= len(s.all) {
			s.swept = len(s.all) - 1
		}
		if s.swept < 0 {
			return
		}
		if m := s.all[s.swept]; now-m.heard > s.cfg.Silence {
			s.remove(now, m)
			s.emit(Close, m.id, &signal.Message{Type: signal.ErrorMsg, Code: "silent", Detail: "no message for too long; open a new session"})
		}
	}
}
