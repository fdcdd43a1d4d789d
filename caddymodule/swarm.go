package caddymodule

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// swarm drives one tracker engine: it owns the engine's lock, its timer and the
// connections of its members.
type swarm struct {
	rt           *runtime
	id           string
	presentation *presentation

	holds  int           // connections that use it; under rt.mu
	usedAt time.Duration // when the last of them went; under rt.mu

	relayUp, relayDown atomic.Int64 // payload bytes that the relay carried from and to members
	relayPeers         atomic.Int64 // members for which it carried any

	mu     sync.Mutex
	engine *tracker.Swarm
	conns  map[wire.PeerID]*conn
	timer  *time.Timer
	due    time.Duration // when the timer fires, 0 if it does not
	closed bool
}

func newSwarm(rt *runtime, id string, p *presentation) *swarm {
	s := &swarm{
		rt: rt, id: id, presentation: p,
		engine: tracker.New(tracker.Config{Seed: new(maphash.Hash).Sum64()}),
		conns:  map[wire.PeerID]*conn{},
	}
	s.timer = time.AfterFunc(time.Hour, s.tick)
	s.timer.Stop()
	return s
}

// join makes c the connection of its peer; one that the peer had is closed.
func (s *swarm) join(c *conn, f tracker.Facts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		c.finish(nil)
		return
	}
	if old := s.conns[c.peer]; old != nil && old != c {
		old.finish(&signal.Message{Type: signal.ErrorMsg, Code: "replaced", Detail: "the peer has another connection"})
	}
	s.conns[c.peer] = c
	s.step(tracker.Input{Kind: tracker.Join, Peer: c.peer, Facts: f})
}

// receive hands a message of c to the engine.
func (s *swarm) receive(c *conn, m *signal.Message) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c.peer] == c {
		s.step(tracker.Input{Kind: tracker.Receive, Peer: c.peer, Message: m})
	}
}

// leave takes the peer of c out, unless it has another connection by now.
func (s *swarm) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conns[c.peer] == c {
		delete(s.conns, c.peer)
		s.step(tracker.Input{Kind: tracker.Leave, Peer: c.peer})
	}
}

// has says whether c is the connection of a member.
func (s *swarm) has(c *conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns[c.peer] == c && s.engine.Has(c.peer)
}

// banned says whether a peer was banned.
func (s *swarm) banned(p wire.PeerID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine.Banned(p)
}

func (s *swarm) tick() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = 0
	if !s.closed {
		s.step(tracker.Input{Kind: tracker.Tick})
	}
}

// step feeds the engine, carries its effects out and sets the timer. s.mu is
// held; nothing here waits for a connection.
func (s *swarm) step(in tracker.Input) {
	now := s.rt.since()
	var last *signal.Message
	var frame []byte
	for _, e := range s.engine.Step(now, in) {
		c := s.conns[e.Peer]
		switch e.Kind {
		case tracker.Send:
			if c == nil {
				continue
			}
			if e.Message != last {
				last, frame = e.Message, signal.Encode(e.Message)
			}
			c.send(frame)
		case tracker.Close:
			if c != nil {
				delete(s.conns, e.Peer)
				c.finish(e.Message)
			}
		case tracker.Ban:
			if c != nil {
				s.rt.bans.add(c.viewer, c.source, s.rt.now())
			}
		}
	}
	at, ok := s.engine.NextDeadline()
	switch {
	case !ok:
		s.timer.Stop()
		s.due = 0
	case s.due == 0 || at < s.due:
		s.due = at
		s.timer.Reset(max(at-now, time.Millisecond))
	}
}

func (s *swarm) stats() tracker.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine.Stats()
}

// end closes all connections with a last message.
func (s *swarm) end(m *signal.Message) {
	s.mu.Lock()
	conns := make([]*conn, 0, len(s.conns))
	for _, c := range s.conns {
		conns = append(conns, c)
	}
	s.mu.Unlock()
	for _, c := range conns {
		c.finish(m)
	}
}

// close stops the timer for good.
func (s *swarm) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.timer.Stop()
}
