package viewer

import (
	"slices"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// find returns the last message of a type that the edge got.
func (s *stage) find(t signal.Type) *signal.Message {
	for i := len(s.messages) - 1; i >= 0; i-- {
		if s.messages[i].Type == t {
			return &s.messages[i]
		}
	}
	return nil
}

// TestRefuses: the offer of a peer that is not wanted is answered with a refusal.
func TestRefuses(t *testing.T) {
	s := newStage(t)
	liar := wire.PeerID(9)
	s.talk = func(_ int, ws *websocket.Conn) {
		say(ws, &signal.Message{Type: signal.Drop, Peer: &liar, Reason: "banned"})
		say(ws, &signal.Message{Type: signal.Offer, From: &liar, Connection: "c9", SDP: "v=0"})
	}
	v := s.viewer(nil)
	v.Bootstrap(s.bootstrap("s"))
	s.until("the refusal", func() bool { return s.find(signal.Refuse) != nil })
	if m := s.find(signal.Refuse); *m.To != liar || m.Connection != "c9" || slices.Contains(s.said, signal.Answer) {
		t.Errorf("refused with %+v; said %v", m, s.said)
	}
}

// TestRefused: a peer whose offer is refused does not wait for an answer. It leaves the
// other alone for a while, and tells the edge, which then introduces others.
func TestRefused(t *testing.T) {
	s := newStage(t)
	busy := wire.PeerID(9)
	asked := make(chan struct{})
	s.talk = func(_ int, ws *websocket.Conn) {
		say(ws, &signal.Message{Type: signal.Peers, SwarmSize: 3, Peers: []signal.PeerInfo{{ID: busy, Upload: true, Initiate: true}}})
		<-asked
		s.mu.Lock()
		name := s.find(signal.Offer).Connection
		s.mu.Unlock()
		say(ws, &signal.Message{Type: signal.Refuse, From: &busy, Connection: "another"})
		say(ws, &signal.Message{Type: signal.Refuse, From: &busy, Connection: name})
	}
	v := s.viewer(nil)
	v.Bootstrap(s.bootstrap("s"))
	s.show(v, "a.m4s")
	s.until("the offer", func() bool { return s.find(signal.Offer) != nil })
	close(asked)
	s.until("the announcement", func() bool {
		m := s.find(signal.Announce)
		return m != nil && slices.Contains(m.Failed, busy)
	})
}
