package signaling

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/insight"
	"github.com/viewmesh/viewmesh/edge/internal/socket"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// maxGone is how many members that left are remembered, so that leaving at once is no way
// out of a ban.
const maxGone = 1024

// member is a peer of a swarm with its connection.
type member struct {
	*conn
	*admission.Member
	meter *insight.Session // nil for none
}

// swarm drives one tracker engine: it owns the engine's lock, its timer and the
// connections of its members.
type swarm struct {
	id           string
	presentation *catalog.Presentation
	control      *admission.Control
	since        func() time.Duration // the engine's time

	holds  int           // connections that use it; under the hub's lock
	usedAt time.Duration // when the last of them went; under the hub's lock

	relayUp, relayDown atomic.Int64 // payload bytes that the relay carried from and to members
	relayPeers         atomic.Int64 // members for which it carried any

	mu      sync.Mutex
	engine  *tracker.Swarm
	members map[wire.PeerID]*member
	gone    *simplelru.LRU[wire.PeerID, *admission.Member] // that left lately
	timer   *time.Timer
	due     time.Duration // when the timer fires, 0 if it does not
	closed  bool
}

func newSwarm(id string, p *catalog.Presentation, control *admission.Control, since func() time.Duration) *swarm {
	s := &swarm{
		id: id, presentation: p, control: control, since: since,
		engine:  tracker.New(tracker.Config{Seed: new(maphash.Hash).Sum64()}),
		members: map[wire.PeerID]*member{},
	}
	s.gone, _ = simplelru.NewLRU[wire.PeerID, *admission.Member](maxGone, nil) // an error is for sizes below 1
	s.timer = time.AfterFunc(time.Hour, s.tick)
	s.timer.Stop()
	return s
}

// join makes m a member; another connection that its peer had is closed.
func (s *swarm) join(m *member, f tracker.Facts) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		m.finish(nil)
		return
	}
	if old := s.members[m.Peer]; old != nil && old != m {
		old.finish(&signal.Message{Type: signal.ErrorMsg, Code: "replaced", Detail: "the peer has another connection"})
	}
	s.members[m.Peer] = m
	s.step(tracker.Input{Kind: tracker.Join, Peer: m.Peer, Facts: f})
	if totals, ok := s.engine.Reported(m.Peer); ok {
		m.meter.Resume(&totals)
	}
}

// receive hands a message of m to the engine.
func (s *swarm) receive(m *member, msg *signal.Message) {
	var own outgoing
	s.hand(m, tracker.Input{Kind: tracker.Receive, Peer: m.Peer, Message: msg}, &own)
	own.send()
}

// pass hands an offer or answer of m to the engine, and on as it stands but for what it may not
// name.
func (s *swarm) pass(m *member, p *signal.Passed, relayOnly bool) {
	var own outgoing
	s.hand(m, tracker.Input{Kind: tracker.Receive, Peer: m.Peer, Size: len(p.SDP), Message: &signal.Message{Type: p.Type, To: &p.To}}, &own)
	if own.from == nil {
		own.send()
		return
	}
	f := socket.NewFrame()
	f.Buffer = p.AppendFrom(f.Buffer, m.Peer)
	from := len(f.Buffer)
	f.Buffer = appendSDP(f.Buffer, p.SDP, own.near, relayOnly)
	if len(f.Buffer)-from > signal.MaxSDP { // lines end in more bytes than they did
		return
	}
	f.Buffer = append(f.Buffer, `"}`...)
	f.Seal(socket.Text)
	own.to.Forward(f)
}

// hand feeds the engine with what m has sent.
func (s *swarm) hand(m *member, in tracker.Input, own *outgoing) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members[m.Peer] == m {
		s.stepFor(in, own)
		s.count(m, in.Message)
	}
}

// count has the meter of m count what it says of its playback. s.mu is held.
func (s *swarm) count(m *member, msg *signal.Message) {
	switch msg.Type {
	case signal.Announce:
		m.meter.Announce(msg.Announcement)
	case signal.ReportMsg:
		if totals, ok := s.engine.Reported(m.Peer); ok {
			m.meter.Report(&totals, msg.Report)
		}
	}
}

// outgoing is the one message that becomes of what a member has sent, in nearly all cases. It is
// encoded and written outside of the swarm's lock.
type outgoing struct {
	to      *member
	message *signal.Message
	from    *member // of whom it is passed on, nil if it is the edge's
	near    bool    // the two are in one place
}

func (o *outgoing) send() {
	switch {
	case o.to == nil:
	case o.from == nil:
		o.to.send(o.message)
	default:
		if told := between(o.message, o.near); told != nil {
			o.to.Forward(frameOf(told))
		}
	}
}

// turned tells the engine whether m is silent.
func (s *swarm) turned(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	in := tracker.Input{Kind: tracker.Heard, Peer: m.Peer}
	if m.silent() {
		in.Kind = tracker.Silent
	}
	if s.members[m.Peer] == m {
		s.step(in)
	}
}

// leave takes the peer of m out, unless it has another connection by now.
func (s *swarm) leave(m *member) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.members[m.Peer] == m {
		delete(s.members, m.Peer)
		s.gone.Add(m.Peer, m.Member)
		s.step(tracker.Input{Kind: tracker.Leave, Peer: m.Peer})
	}
}

// convict tells the engine that a peer gave a wrong chunk.
func (s *swarm) convict(p wire.PeerID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.step(tracker.Input{Kind: tracker.Convicted, Peer: p})
	}
}

// scarce tells all members how long a segment waits at the origin.
func (s *swarm) scarce(wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.step(tracker.Input{Kind: tracker.Scarce, Wait: wait})
	}
}

// has reports whether m is a member.
func (s *swarm) has(m *member) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[m.Peer] == m && s.engine.Has(m.Peer)
}

// banned reports whether a peer was banned.
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
func (s *swarm) step(in tracker.Input) { s.stepFor(in, &outgoing{}) }

// stepFor is step for an input of a member; the first message to it, or from it to another, is
// left to the caller.
func (s *swarm) stepFor(in tracker.Input, own *outgoing) {
	now := s.since()
	var last *signal.Message
	var frame []byte
	for _, e := range s.engine.Step(now, in) {
		m := s.members[e.Peer]
		if m == nil {
			if who, ok := s.gone.Get(e.Peer); ok && e.Kind == tracker.Ban {
				s.control.Ban(who)
			}
			continue
		}
		switch e.Kind {
		case tracker.Send:
			if from := e.Message.From; from != nil {
				*own = outgoing{m, e.Message, s.members[*from], s.near(*from, m)}
				continue
			}
			if e.Peer == in.Peer && own.to == nil && in.Kind == tracker.Receive {
				*own = outgoing{to: m, message: e.Message}
				continue
			}
			if e.Message != last {
				last, frame = e.Message, signal.Encode(e.Message)
			}
			f := socket.NewFrame()
			f.Buffer = append(f.Buffer, frame...)
			f.Seal(socket.Text)
			m.Send(f)
		case tracker.Close:
			delete(s.members, e.Peer)
			s.gone.Add(e.Peer, m.Member)
			m.finish(e.Message)
		case tracker.Ban:
			s.control.Ban(m.Member)
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

// near reports whether a peer is in the place of m. s.mu is held.
func (s *swarm) near(peer wire.PeerID, m *member) bool {
	from := s.members[peer]
	return from != nil && s.control.Near(from.Member, m.Member)
}

// stats returns the engine's numbers.
func (s *swarm) stats() tracker.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine.Stats()
}

// endSome closes the connections for which last returns a message, with that.
func (s *swarm) endSome(last func(*member) *signal.Message) (n int) {
	s.mu.Lock()
	members := make([]*member, 0, len(s.members))
	for _, m := range s.members {
		members = append(members, m)
	}
	s.mu.Unlock()
	for _, m := range members {
		if msg := last(m); msg != nil {
			m.finish(msg)
			n++
		}
	}
	return n
}

// isMember reports whether a peer has a session here.
func (s *swarm) isMember(p wire.PeerID) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.members[p] != nil
}

// close stops the timer for good.
func (s *swarm) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.timer.Stop()
}
