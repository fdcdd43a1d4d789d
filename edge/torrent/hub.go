package torrent

import (
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/internal/shares"
	"github.com/viewmesh/viewmesh/edge/internal/socket"
	"github.com/viewmesh/viewmesh/meshcore/webtorrent"
)

const (
	// checkEvery is how often connections are looked at.
	checkEvery = 10 * time.Second
)

// Config is what a hub needs of the edge around it. All fields are required.
type Config struct {
	Log     *zap.Logger
	Now     func() time.Time
	Control *admission.Control
	Catalog *catalog.Catalog
}

// Hub holds the connections of an edge to its tracker. It is safe for concurrent use.
type Hub struct {
	Config
	started time.Time

	mu       sync.Mutex
	places   map[string]*place
	conns    map[*conn]struct{}
	networks shares.Counts[string]
	accounts shares.Counts[admission.Viewer]
	timer    *time.Timer
	draining bool

	open, sent, dropped atomic.Int64
	work                sync.WaitGroup // goroutines of connections
}

// NewHub makes a hub.
func NewHub(c Config) *Hub {
	h := &Hub{Config: c, started: c.Now(), places: map[string]*place{}, conns: map[*conn]struct{}{},
		networks: shares.Counts[string]{}, accounts: shares.Counts[admission.Viewer]{}}
	h.timer = time.AfterFunc(checkEvery, h.check)
	h.timer.Stop()
	return h
}

// since is the engines' time.
func (h *Hub) since() time.Duration { return h.Now().Sub(h.started) }

// upgrader makes WebSockets that are read in the pieces of package socket, and written frame by
// frame (frame.go): its own buffers are as small as may be. Compression costs several times what
// it saves (docs/tracker.md). The caller has checked the Origin.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  128,
	WriteBufferSize: 128,
	WriteBufferPool: &sync.Pool{},
	CheckOrigin:     func(*http.Request) bool { return true },
}

// Accept turns a request into a connection to the tracker, which outlives the request and its
// handler. It answers the request in any case.
func (h *Hub) Accept(w http.ResponseWriter, r *http.Request, p *admission.Policy, g *admission.Guest) {
	ws, err := upgrader.Upgrade(socket.Hijacker{ResponseWriter: w}, r, nil)
	if err != nil {
		return // the library has answered
	}
	c := &conn{hub: h, guest: g, Link: socket.Link{WS: ws, Work: &h.work, MaxFrames: maxQueued, MaxBytes: maxQueuedBytes, Sent: &h.sent}}
	c.policy.Store(p)
	c.heard()
	if !h.enter(c, p) {
		_ = ws.NetConn().Close()
		return
	}
	c.place.open(c, p)
	go c.run()
}

// Full reports whether a guest's network or account has its share of the connections that
// there may be.
func (h *Hub) Full(g *admission.Guest, most int) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	account, known := g.Account()
	return g.Network() != "" && h.networks.Full(g.Network(), len(h.conns), most, shares.Network) ||
		known && h.accounts.Full(account, len(h.conns), most, shares.Account)
}

// enter registers a connection; its goroutines are then waited for.
func (h *Hub) enter(c *conn, p *admission.Policy) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		return false
	}
	name := c.guest.Place(p)
	if c.place = h.places[name]; c.place == nil {
		c.place = newPlace(name, p, h.since)
		h.places[name] = c.place
	}
	c.place.conns++
	h.count(c, 1)
	if h.conns[c] = struct{}{}; len(h.conns) == 1 {
		h.timer.Reset(checkEvery)
	}
	h.work.Add(1)
	return true
}

// leave takes a connection out that has ended.
func (h *Hub) leave(c *conn) {
	c.place.leave(c)
	h.mu.Lock()
	delete(h.conns, c)
	h.count(c, -1)
	if c.place.conns--; c.place.conns == 0 {
		c.place.close()
		delete(h.places, c.place.name)
	}
	h.mu.Unlock()
	h.work.Done()
}

// count counts a connection. h.mu is held.
func (h *Hub) count(c *conn, n int) {
	h.open.Add(int64(n))
	h.networks.Add(c.guest.Network(), n)
	if account, known := c.guest.Account(); known {
		h.accounts.Add(account, n)
	}
}

// mayJoin returns why a client may not be in the swarm of an info hash, nil if it may.
func (h *Hub) mayJoin(c *conn, hash webtorrent.ID) error {
	p := c.policy.Load()
	to := h.Catalog.Stream(c.guest.Site(), c.guest.Host, hash)
	for i := 0; to == nil && i < len(p.Hosts); i++ { // the page may know the manifest by another name
		to = h.Catalog.Stream(c.guest.Site(), p.Hosts[i], hash)
	}
	return h.Control.MayJoin(c.guest, p, to)
}

// check looks at all connections: who is silent, and whose site has no tracker any more.
func (h *Hub) check() {
	now := h.since()
	for _, c := range h.all() {
		c.check(now)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.conns) > 0 && !h.draining {
		h.timer.Reset(checkEvery)
	}
}

func (h *Hub) all() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]*conn, 0, len(h.conns))
	for c := range h.conns {
		out = append(out, c)
	}
	return out
}

// Numbers are the numbers of a tracker.
type Numbers struct {
	Connections   int64 // WebSockets open now
	Peers, Swarms int   // now: a peer for each info hash of each connection
	Sent          int64 // messages so far
	Dropped       int64 // messages that were not passed on, because their receiver reads slowly
}

// Connections returns the number of connections that are open.
func (h *Hub) Connections() int64 { return h.open.Load() }

// Numbers returns the numbers of now.
func (h *Hub) Numbers() Numbers {
	n := Numbers{Connections: h.open.Load(), Sent: h.sent.Load(), Dropped: h.dropped.Load()}
	h.mu.Lock()
	places := make([]*place, 0, len(h.places))
	for _, s := range h.places {
		places = append(places, s)
	}
	h.mu.Unlock()
	for _, s := range places {
		peers, swarms := s.numbers()
		n.Peers += peers
		n.Swarms += swarms
	}
	return n
}

// Close ends all connections. Clients come back after a time that they draw at random.
func (h *Hub) Close() {
	h.mu.Lock()
	h.draining = true
	h.timer.Stop()
	h.mu.Unlock()
	conns := h.all()
	for _, c := range conns {
		c.Finish(nil)
	}
	socket.Drain(&h.work, func() {
		for _, c := range conns {
			c.Abort()
		}
	})
}
