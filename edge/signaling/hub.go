package signaling

import (
	"errors"
	"math/bits"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/insight"
	"github.com/viewmesh/viewmesh/edge/internal/shares"
	"github.com/viewmesh/viewmesh/edge/internal/socket"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

const (
	// DrainSpread is the time over which peers are sent to open another session
	// when the edge closes.
	DrainSpread = 10 * time.Second
	// idleSwarm is how long a swarm without peers keeps its numbers.
	idleSwarm = time.Hour
	// lookEvery is how often members learn how scarce the origin is, if that has changed.
	lookEvery = time.Second
	// maxSwarms is the number of swarms from which idle ones are let go.
	maxSwarms = 64
)

// ErrDraining refuses a session because the edge closes.
var ErrDraining = errors.New("the mesh is being taken out of service")

// Config is what a hub needs of the edge around it. Log, Now and Control are required.
type Config struct {
	Log     *zap.Logger
	Now     func() time.Time
	Control *admission.Control
	// Meter returns what counts the session of a member. Default: nothing does.
	Meter func(*admission.Member) *insight.Session
	// Off reports whether the operator has switched the mesh off for a member. Default: for none.
	Off func(*admission.Member) bool
	// OriginWait returns how long a segment waits at the origin now, 0 if that is not
	// scarce. Default: it never is.
	OriginWait func() time.Duration
}

// Hub holds the swarms and the connections of an edge. It is safe for concurrent
// use.
type Hub struct {
	Config
	started time.Time

	mu       sync.Mutex
	swarms   map[string]*swarm
	retired  signal.Report // of swarms that were let go
	sessions map[*session]struct{}
	networks shares.Counts[string]
	came     map[string]time.Time // of each of networks, when its first session did
	accounts shares.Counts[admission.Viewer]
	open     atomic.Int64
	work     sync.WaitGroup // goroutines of connections
	draining bool
	looks    *time.Timer
	level    int // how scarce the origin is, as members know
}

// NewHub makes a hub.
func NewHub(c Config) *Hub {
	if c.Meter == nil {
		c.Meter = func(*admission.Member) *insight.Session { return nil }
	}
	if c.Off == nil {
		c.Off = func(*admission.Member) bool { return false }
	}
	if c.OriginWait == nil {
		c.OriginWait = func() time.Duration { return 0 }
	}
	h := &Hub{Config: c, started: c.Now(), swarms: map[string]*swarm{}, sessions: map[*session]struct{}{},
		networks: shares.Counts[string]{}, came: map[string]time.Time{}, accounts: shares.Counts[admission.Viewer]{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.looks = time.AfterFunc(lookEvery, h.look)
	return h
}

// look tells all members how scarce the origin is, if that has changed by half or more.
func (h *Hub) look() {
	wait := h.OriginWait()
	level := bits.Len64(uint64(wait.Milliseconds()))
	h.mu.Lock()
	draining, same := h.draining, level == h.level
	h.level = level
	if !draining {
		h.looks.Reset(lookEvery)
	}
	h.mu.Unlock()
	if draining || same {
		return
	}
	for _, s := range h.allSwarms() {
		s.scarce(wait)
	}
}

// since is the engines' time.
func (h *Hub) since() time.Duration { return h.Now().Sub(h.started) }

// Connections returns the number of signaling connections that are open.
func (h *Hub) Connections() int64 { return h.open.Load() }

// Draining reports whether the hub takes no more sessions.
func (h *Hub) Draining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// enter registers a session; its goroutines are then waited for.
func (h *Hub) enter(s *session) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return ErrDraining
	}
	h.sessions[s] = struct{}{}
	if h.networks.Add(s.on.Network(), 1); h.networks[s.on.Network()] == 1 {
		h.came[s.on.Network()] = time.Now()
	}
	h.open.Add(1)
	h.work.Add(1)
	return nil
}

// Crowded reports whether a network has its share of the connections that there may be.
func (h *Hub) Crowded(network string, most int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return network != "" && h.networks.Full(network, len(h.sessions), most, shares.Network)
}

// Came returns since when there has been a session of a network; ok is false if there is
// none.
func (h *Hub) Came(network string) (at time.Time, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	at, ok = h.came[network]
	return at, ok
}

// admit counts a session for its account; false if that has its share.
func (h *Hub) admit(s *session, account admission.Viewer, most int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.accounts.Full(account, len(h.sessions), most, shares.Account) {
		return false
	}
	s.account = &account
	h.accounts.Add(account, 1)
	return true
}

func (h *Hub) leave(s *session) {
	h.mu.Lock()
	delete(h.sessions, s)
	if h.networks.Add(s.on.Network(), -1); h.networks[s.on.Network()] == 0 {
		delete(h.came, s.on.Network())
	}
	if s.account != nil {
		h.accounts.Add(*s.account, -1)
	}
	h.open.Add(-1)
	h.mu.Unlock()
	h.work.Done()
}

// hold returns the swarm with an id, which it makes if there is none. The caller
// releases it.
func (h *Hub) hold(id string, p *catalog.Presentation) (*swarm, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return nil, ErrDraining
	}
	s := h.swarms[id]
	if s == nil {
		if len(h.swarms) >= maxSwarms {
			h.retireIdle()
		}
		s = newSwarm(id, p, h.Control, h.since)
		s.scarce(h.OriginWait())
		h.swarms[id] = s
	}
	s.holds++
	p.Hold()
	return s, nil
}

// release gives a swarm back that hold returned.
func (h *Hub) release(s *swarm) {
	h.mu.Lock()
	defer h.mu.Unlock()
	s.holds--
	s.presentation.Release()
	s.usedAt = h.since()
}

// retireIdle lets swarms go that have been empty for long. h.mu is held.
func (h *Hub) retireIdle() {
	for id, s := range h.swarms {
		if s.holds == 0 && h.since()-s.usedAt > idleSwarm {
			sum := s.stats().Totals
			h.retired.Add(&sum)
			s.close()
			delete(h.swarms, id)
		}
	}
}

func (h *Hub) allSwarms() []*swarm {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*swarm, 0, len(h.swarms))
	for _, s := range h.swarms {
		out = append(out, s)
	}
	return out
}

// EndSwarms ends the sessions of a presentation whose sharing was stopped.
func (h *Hub) EndSwarms(p *catalog.Presentation) {
	for _, s := range h.allSwarms() {
		if s.presentation == p {
			s.endSome(func(*member) *signal.Message { return admission.NotShared() })
		}
	}
}

// EndSwitchedOff ends the sessions for which the mesh is switched off; it returns how many.
func (h *Hub) EndSwitchedOff() (n int) {
	return h.endAll(func(m *member) *signal.Message {
		if !h.Off(m.Member) {
			return nil
		}
		return admission.NotShared()
	})
}

// Drain sends the peers of all sessions to open other ones, each after a time of its own within
// spread; it returns how many. New sessions are taken as before.
func (h *Hub) Drain(spread time.Duration) (n int) {
	return h.endAll(func(*member) *signal.Message {
		return &signal.Message{Type: signal.Reconnect, AfterMS: 1 + rand.Int64N(max(1, spread.Milliseconds()))}
	})
}

// endAll ends the sessions for which last returns a message.
func (h *Hub) endAll(last func(*member) *signal.Message) (n int) {
	for _, s := range h.allSwarms() {
		n += s.endSome(last)
	}
	return n
}

// Ban bans the viewer of a session by its peer, as evidence would; false if no such session is open.
func (h *Hub) Ban(p wire.PeerID) bool {
	for _, s := range h.allSwarms() {
		if s.isMember(p) {
			s.convict(p)
			return true
		}
	}
	return false
}

// Relayed counts payload bytes that a relay carried from (up) and to (down) the
// members of a swarm. first is set with the first bytes of a member.
func (h *Hub) Relayed(swarm string, up, down int64, first bool) {
	h.mu.Lock()
	s := h.swarms[swarm]
	h.mu.Unlock()
	if s == nil { // the viewer never came to signal
		return
	}
	s.relayUp.Add(up)
	s.relayDown.Add(down)
	if first {
		s.relayPeers.Add(1)
	}
}

// SwarmStats is what is known of one swarm.
type SwarmStats struct {
	ID           string
	Presentation *catalog.Presentation
	tracker.Stats
	// RelayPeers are the sessions that a relay carried anything for so far;
	// RelayUp and RelayDown are its payload bytes from and to them. Where both ends
	// of a connection use it, both count.
	RelayPeers, RelayUp, RelayDown int64
}

// Swarms returns the numbers of the swarms that are in memory.
func (h *Hub) Swarms() []SwarmStats {
	var out []SwarmStats
	for _, s := range h.allSwarms() {
		out = append(out, SwarmStats{s.id, s.presentation, s.stats(), s.relayPeers.Load(), s.relayUp.Load(), s.relayDown.Load()})
	}
	return out
}

// Totals sums up what peers have reported of all swarms, those that were let go
// included.
func (h *Hub) Totals() signal.Report {
	h.mu.Lock()
	defer h.mu.Unlock()
	sum := h.retired
	for _, s := range h.swarms {
		totals := s.stats().Totals
		sum.Add(&totals)
	}
	return sum
}

// Close ends all sessions. Each peer is sent to open another session after a time
// of its own, so that they do not all come at once to whoever serves them next.
func (h *Hub) Close() {
	h.mu.Lock()
	h.draining = true
	h.looks.Stop()
	sessions := make([]*session, 0, len(h.sessions))
	for s := range h.sessions {
		sessions = append(sessions, s)
	}
	h.mu.Unlock()
	for i, s := range sessions {
		after := DrainSpread * time.Duration(i) / time.Duration(len(sessions))
		s.finish(&signal.Message{Type: signal.Reconnect, AfterMS: 1 + after.Milliseconds()})
	}
	socket.Drain(&h.work, func() {
		for _, s := range sessions {
			s.Abort()
		}
	})
	for _, s := range h.allSwarms() {
		s.close()
	}
}
