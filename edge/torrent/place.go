package torrent

import (
	"hash/maphash"
	"sync"
	"time"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/meshcore/webtorrent"
)

// place is a site, or the part of one whose viewers may meet, with its swarms, apart from
// those of others.
type place struct {
	name     string // Guest.Place
	interval int    // of announces, in seconds
	since    func() time.Duration
	conns    int // under the hub's lock

	mu     sync.Mutex
	engine *webtorrent.Tracker
	timer  *time.Timer
	due    time.Duration // when the timer fires, 0 if it does not
	closed bool
}

func newPlace(name string, p *admission.Policy, since func() time.Duration) *place {
	s := &place{
		name: name, interval: int((p.AnnounceInterval + time.Second - 1) / time.Second), since: since,
		engine: webtorrent.New(webtorrent.Config{Seed: new(maphash.Hash).Sum64(), Interval: p.AnnounceInterval, MaxTold: p.MaxTold}),
	}
	s.timer = time.AfterFunc(time.Hour, s.tick)
	s.timer.Stop()
	return s
}

// open makes the engine's side of a connection.
func (s *place) open(c *conn, p *admission.Policy) {
	facts := admission.GuestFacts(c.guest, p)
	now := s.since()
	s.mu.Lock()
	defer s.mu.Unlock()
	c.peer = s.engine.Open(now, facts, c)
	c.idleAt.Store(int64(now))
}

// leave takes all peers of a connection out.
func (s *place) leave(c *conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.engine.Close(c.peer)
}

// receive hands a message to the engine.
func (s *place) receive(c *conn, m *webtorrent.Message, wrong string, out []webtorrent.Effect) []webtorrent.Effect {
	now := s.since()
	s.mu.Lock()
	defer s.mu.Unlock()
	out = s.engine.Receive(now, c.peer, m, wrong, out)
	s.wait(now)
	switch {
	case c.peer.Announces():
		c.idleAt.Store(0)
	case c.idleAt.Load() == 0:
		c.idleAt.Store(int64(now))
	}
	return out
}

func (s *place) tick() {
	now := s.since()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.due = 0
	if !s.closed {
		s.engine.Tick(now)
		s.wait(now)
	}
}

// wait sets the timer unless it is. s.mu is held.
func (s *place) wait(now time.Duration) {
	if at, ok := s.engine.NextDeadline(); ok && s.due == 0 && !s.closed {
		s.due = max(at, now+time.Millisecond)
		s.timer.Reset(s.due - now)
	}
}

// numbers returns how many peers are in how many swarms.
func (s *place) numbers() (peers, swarms int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.engine.Peers(), s.engine.Swarms()
}

// close stops the timer for good.
func (s *place) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	s.timer.Stop()
}
