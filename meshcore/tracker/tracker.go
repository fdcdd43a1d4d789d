// Package tracker is the edge's side of a swarm: who is in it, whom each peer
// is told of, who fetches new live segments from the origin, who is banned. It
// does no I/O and knows no time but what it is given: a driver feeds [Swarm.Step]
// and carries out the effects. One Swarm is not safe for concurrent use; the
// driver owns a lock for each, so that swarms go on side by side.
//
// # How peers are chosen
//
// An announce asks for a number of peers. Candidates are members that the asking
// peer does not leave alone for now (signal.Announcement.Failed), that are not full, and of which at least one
// side uploads; whom it was introduced to lately comes after all others. They are taken, by
// random draws where there are many, from the members of the same rendition and
// locality, then of the same rendition, then of all. Three quarters of the answer
// are the best of them by [score]; one quarter is drawn at random from the
// others, so that the mesh never splits (compare Liu et al., "A survey on
// peer-to-peer video streaming systems", 2008, and RFC 7846, section 4).
//
// # Who fetches
//
// The uploading members of a rendition have dense ranks, which are their places
// in a slice: a leaving member's rank goes to the last one. The ranks are dealt out
// to turns, so that as many members as there are to be fetchers have each turn (see
// signal.Duty for the rotation). Members whose uplink is well below the median take no
// turns, because a segment is late at all others when its first owner is slow
// (uplinks.go). A locality with [Config].OwnGroup of them takes turns by itself, so that
// each new segment comes to it once from the origin and not over long ways.
//
// A change is pushed at once, gathered over [Config].Settle, to the members of a small
// group. In a large one it concerns one member, which is told, unless the number of
// turns changes: then all are, which happens when it has grown or shrunk by half.
package tracker

import (
	"container/list"
	"math/rand/v2"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// New makes an empty swarm.
func New(cfg Config) *Swarm {
	return &Swarm{
		cfg:        cfg.withDefaults(),
		rng:        rand.New(rand.NewPCG(cfg.Seed, 0x6d657368)),
		members:    map[wire.PeerID]*member{},
		groups:     map[groupKey]*pool{},
		renditions: map[groupKey]*pool{},
		banned:     map[wire.PeerID]bool{},
		past:       past{byID: map[wire.PeerID]*list.Element{}},
	}
}

// Len is the number of members.
func (s *Swarm) Len() int { return len(s.all) }

// Has says whether the peer is a member.
func (s *Swarm) Has(p wire.PeerID) bool { return s.members[p] != nil }

// Banned says whether the peer was banned.
func (s *Swarm) Banned(p wire.PeerID) bool { return s.banned[p] }

// Step takes one input at time now, which counts from any fixed moment and
// never goes back. The effects are valid until the next call.
func (s *Swarm) Step(now time.Duration, in Input) []Effect {
	s.out = s.out[:0]
	switch in.Kind {
	case Join:
		s.join(now, in.Peer, in.Facts)
	case Receive:
		if m := s.members[in.Peer]; m != nil {
			s.receive(now, m, in.Message, in.Size)
		}
	case Leave:
		if m := s.members[in.Peer]; m != nil {
			s.remove(now, m)
		}
	case Scarce:
		s.originWait = in.Wait
		for _, m := range s.all {
			s.tellDuty(m)
		}
	case Convicted:
		convict(s, now, in.Peer)
	case Silent, Heard:
		if m := s.members[in.Peer]; m != nil {
			m.silent = in.Kind == Silent
		}
	}
	if s.pushAt != 0 && now >= s.pushAt {
		s.pushDuties()
	}
	if now >= s.sweepAt {
		s.sweep(now)
	}
	return s.out
}

// NextDeadline is when Step wants to be called with Tick, if nothing comes
// before; ok is false while the swarm waits for nothing.
func (s *Swarm) NextDeadline() (at time.Duration, ok bool) {
	if len(s.all) == 0 {
		return 0, false
	}
	if s.pushAt != 0 && s.pushAt < s.sweepAt {
		return s.pushAt, true
	}
	return s.sweepAt, true
}

// Reported returns what a member has reported in all, as far as it can be true of its time.
func (s *Swarm) Reported(p wire.PeerID) (totals signal.Report, ok bool) {
	m := s.members[p]
	if m == nil || !m.accounts.reported || m.accounts.lied {
		return totals, false
	}
	return m.accounts.totals, true
}

// Stats sums up the swarm; it takes time in proportion to the members.
func (s *Swarm) Stats() Stats {
	st := Stats{Peers: len(s.all), Totals: s.ended, Control: s.control, Banned: len(s.banned), Doubted: s.doubted}
	for _, m := range s.all {
		if m.uploads() {
			st.Uploaders++
		}
		if m.alone {
			st.Alone++
			st.Doubted += m.accounts.add(&st.Control)
		} else {
			st.Doubted += m.accounts.add(&st.Totals)
		}
	}
	given := st.Totals.UploadedBytes
	for _, m := range s.all { // what peers got, others gave
		if !m.alone {
			st.Totals.PeerBytes -= m.accounts.excess(given)
		}
	}
	st.Totals.PeerBytes = max(0, min(st.Totals.PeerBytes, given+underWay))
	st.Totals.RelayedBytes = min(st.Totals.RelayedBytes, st.Totals.PeerBytes)
	return st
}

// receive takes one message of a member.
func (s *Swarm) receive(now time.Duration, m *member, msg *signal.Message, size int) {
	m.heard, m.silent = now, false
	m.allowance = min(s.cfg.Burst, m.allowance+s.cfg.Rate*(now-m.allowedAt).Seconds())
	m.allowedAt = now
	if m.allowance < 1 {
		s.remove(now, m)
		s.emit(Close, m.id, &signal.Message{Type: signal.ErrorMsg, Code: "too_many", Detail: "too many messages; wait before the next session"})
		return
	}
	m.allowance--
	switch msg.Type {
	case signal.Announce:
		s.announce(now, m, msg.Announcement)
	case signal.Offer, signal.Answer, signal.Candidate, signal.Refuse:
		s.forward(now, m, msg, size+len(msg.SDP))
	case signal.ReportMsg:
		m.accounts.report(now, msg.Report)
	case signal.Complain:
		complain(m, *msg.Peer)
	case signal.Ping:
		s.emit(Send, m.id, &signal.Message{Type: signal.Pong})
	case signal.Leave:
		s.remove(now, m)
		s.emit(Close, m.id, nil)
	default:
		s.refuse(m.id, "unexpected_type", "a peer does not send "+string(msg.Type)+" here")
	}
}

// forward hands an offer, answer, candidate or refusal to the peer it is for, if the two
// were introduced: the fields of these types and nothing else that the sender put in its
// message, and no more of them than connections take.
func (s *Swarm) forward(now time.Duration, from *member, msg *signal.Message, size int) {
	if msg.To == nil {
		s.refuse(from.id, "bad_field", "to is missing")
		return
	}
	to := s.members[*msg.To]
	if to == nil || to.scope != from.scope || !haveMet(from, to) || keptApart(from, to) {
		gone := *msg.To
		s.emit(Send, from.id, &signal.Message{Type: signal.Drop, Peer: &gone, Reason: "left"})
		return
	}
	if !from.lines.take(now, to.id, 256+size) {
		return
	}
	id := from.id
	s.emit(Send, to.id, &signal.Message{Type: msg.Type, From: &id, Connection: msg.Connection, SDP: msg.SDP, Candidate: msg.Candidate})
}
