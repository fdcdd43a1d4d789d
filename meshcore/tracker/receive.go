package tracker

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// receive takes one message of a member.
func (s *Swarm) receive(now time.Duration, m *member, msg *signal.Message) {
	m.heard = now
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
		s.forward(m, msg)
	case signal.ReportMsg:
		m.report(msg.Report)
	case signal.Complain:
		s.accuse(now, m, *msg.Peer)
	case signal.Ping:
		s.emit(Send, m.id, &signal.Message{Type: signal.Pong})
	case signal.Leave:
		s.remove(now, m)
		s.emit(Close, m.id, nil)
	default:
		s.refuse(m.id, "unexpected_type", "a peer does not send "+string(msg.Type)+" here")
	}
}

// forward hands an offer, answer, candidate or refusal to the peer it is for: the fields
// of these types and nothing else that the sender put in its message.
func (s *Swarm) forward(from *member, msg *signal.Message) {
	if msg.To == nil {
		s.refuse(from.id, "bad_field", "to is missing")
		return
	}
	to := s.members[*msg.To]
	if to == nil || to.facts.Scope != from.facts.Scope {
		gone := *msg.To
		s.emit(Send, from.id, &signal.Message{Type: signal.Drop, Peer: &gone, Reason: "left"})
		return
	}
	id := from.id
	s.emit(Send, to.id, &signal.Message{Type: msg.Type, From: &id, Connection: msg.Connection, SDP: msg.SDP, Candidate: msg.Candidate})
}

// report takes running totals. One that goes down is a fault of the peer and
// keeps what was there, so that sums never go down.
func (m *member) report(r *signal.Report) {
	grow := func(have *int64, v int64) { *have = max(*have, v) }
	t := &m.totals
	grow(&t.PeerBytes, r.PeerBytes)
	grow(&t.OriginBytes, r.OriginBytes)
	grow(&t.RelayedBytes, r.RelayedBytes)
	grow(&t.UploadedBytes, r.UploadedBytes)
	grow(&t.DuplicateBytes, r.DuplicateBytes)
	grow(&t.BadChunks, r.BadChunks)
	grow(&t.StartupMS, r.StartupMS)
	grow(&t.Stalls, r.Stalls)
	grow(&t.StallMS, r.StallMS)
	grow(&t.PlayedMS, r.PlayedMS)
}
