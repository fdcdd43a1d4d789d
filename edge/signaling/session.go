package signaling

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// renewEvery is the shortest time between two renewals of a pass.
const renewEvery = 5 * time.Second

// maxIdle is how many complaints of one session are looked at whose evidence convicts
// nobody.
const maxIdle = 3

// session is a connection on its way: hello, messages, renewals.
type session struct {
	*conn
	hub     *Hub
	on      admission.Connection
	expires atomic.Int64 // when the pass does, in Unix milliseconds; 0 before hello

	// Used by the reader only.
	member  *member
	account *admission.Viewer // nil if it is unknown; under the hub's lock
	swarm   *swarm
	renewed time.Time
	idle    int // complaints whose evidence convicted nobody
}

// run reads until the connection ends.
func (s *session) run() {
	defer s.hub.leave(s)
	defer s.Abort()
	s.open()
	defer s.ping.Stop()
	if !s.enter() {
		s.Linger()
		return
	}
	defer s.hub.release(s.swarm)
	defer s.member.meter.Close()
	defer s.swarm.leave(s.member)
	for s.next() {
	}
	s.Linger()
}

// next takes the next message; it returns false when the connection ends.
func (s *session) next() (ok bool) {
	read, ok := s.read()
	if !ok || s.expired() {
		return false
	}
	var passed signal.Passed
	if passed.Read(read.Data) {
		s.swarm.pass(s.member, &passed, s.relayOnly(passed.Type))
		read.Free()
		return true
	}
	m, ok := s.decode(read)
	switch {
	case !ok:
		return false
	case m.Type == signal.Renew:
		s.renew()
		return true
	case m.Type == signal.Announce:
		if last := s.hub.Control.Review(s.member.Member); last != nil {
			s.finish(last)
			return false
		}
	case m.Evidence != nil:
		s.convict(&m)
	case s.relayOnly(m.Type) && !hideAddresses(&m):
		return true
	}
	s.swarm.receive(s.member, &m)
	return true
}

// convict has the swarm ban a peer if the evidence of a complaint convicts it. To check it
// takes time: who shows evidence that convicts nobody is not listened to for long.
func (s *session) convict(m *signal.Message) {
	if m.Type != signal.Complain || s.idle >= maxIdle || s.swarm.banned(*m.Peer) {
		return
	}
	if !admission.Convicts(s.hub.Control, s.swarm.id, m) {
		s.idle++
		return
	}
	s.log.Info("a peer gave a wrong chunk, and is banned", zap.Stringer("peer", m.Peer))
	s.swarm.convict(*m.Peer)
}

// relayOnly reports whether a message of a type may name no address but a relay's.
func (s *session) relayOnly(t signal.Type) bool {
	switch t {
	case signal.Offer, signal.Answer, signal.Candidate:
		p, _ := s.hub.Control.PolicyOf(s.member.Member)
		return p.RelayOnly
	}
	return false
}

// enter takes the hello and puts the peer into its swarm. ok is false if the
// connection ends; the peer has been sent the reason.
func (s *session) enter() (ok bool) {
	read, ok := s.read()
	if !ok {
		return false
	}
	m, ok := s.decode(read)
	if !ok {
		return false
	}
	if m.Type != signal.Hello {
		s.fail("hello_first", "the first message must be hello with the pass")
		return false
	}
	who, refused := s.hub.Control.Hello(s.on, m.Pass)
	if refused != nil {
		s.finish(refused)
		return false
	}
	policy, _ := s.hub.Control.PolicyOf(who)
	if account, known := who.Account(); known && !s.hub.admit(s, account, policy.MaxSessions) {
		s.fail("too_many", "too many sessions of this viewer; play from the origin")
		return false
	}
	sw, err := s.hub.hold(who.Swarm, who.Presentation)
	if err != nil {
		s.fail("draining", err.Error())
		return false
	}
	if sw.banned(who.Peer) {
		s.hub.release(sw)
		s.finish(admission.Banned())
		return false
	}
	s.greet()
	s.swarm, s.member = sw, &member{s.conn, who, s.hub.Meter(who)}
	s.expires.Store(who.Expires.UnixMilli())
	s.send(&signal.Message{
		Type: signal.Welcome, AnnounceMS: policy.AnnounceInterval.Milliseconds(), ReportMS: policy.ReportInterval.Milliseconds(),
	})
	sw.join(s.member, admission.Facts(s.hub.Control, who))
	if who.Presentation.Stopped() || s.hub.Off(who) { // meanwhile, when it was not in the swarm yet
		s.finish(admission.NotShared())
	}
	return true
}

// expired ends the connection of a peer that has let its pass run out: it is not
// introduced to anybody any more. It is asked with each message and each ping.
func (s *session) expired() bool {
	until := s.expires.Load()
	if until == 0 || s.hub.Now().UnixMilli() < until {
		return false
	}
	s.fail("bad_pass", "the pass has run out; open a new session")
	return true
}

// silenceTurned has the swarm introduce nobody to a peer that is silent.
func (s *session) silenceTurned() {
	if s.expires.Load() != 0 { // the peer is a member, or was one
		s.swarm.turned(s.member)
	}
}

// renew answers with a new pass and new credentials.
func (s *session) renew() {
	now := s.hub.Now()
	switch {
	case !s.swarm.has(s.member):
		s.fail("refused", "the session is not renewed; play from the origin")
		return
	case now.Sub(s.renewed) < renewEvery:
		s.send(&signal.Message{Type: signal.ErrorMsg, Code: "too_soon", Detail: "renew once in half the life of a pass"})
		return
	}
	s.renewed = now
	answer, expires, ok := s.hub.Control.Renew(s.member.Member)
	if !ok {
		s.finish(answer)
		return
	}
	s.expires.Store(expires.UnixMilli())
	s.send(answer)
}
