package caddymodule

import (
	"bufio"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/caddymodule/turn"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/tokens"
)

// upgrader makes WebSockets with small buffers of their own, so that the
// server's larger ones are freed when the handler returns. Write buffers are
// shared. Compression costs several times what it saves here. The Origin is
// checked before.
var upgrader = websocket.Upgrader{
	ReadBufferSize:  1024,
	WriteBufferSize: 1024,
	WriteBufferPool: &sync.Pool{},
	CheckOrigin:     func(*http.Request) bool { return true },
}

// hijacker lets the WebSocket library hijack past Caddy's response writers. The
// recorder of access logs among them would wrap the connection, and with that keep
// the request, its buffers and its config for as long as the WebSocket lives.
type hijacker struct{ http.ResponseWriter }

func (h hijacker) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w := h.ResponseWriter
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return http.NewResponseController(w).Hijack()
		}
		w = u.Unwrap()
	}
}

// serveSignal answers GET /mesh/signal: it hands the connection to the runtime
// and returns, so that a reload does not see it.
func (h *Handler) serveSignal(w http.ResponseWriter, r *http.Request, host string) error {
	switch {
	case !websocket.IsWebSocketUpgrade(r):
		w.Header().Set("Upgrade", "websocket")
		return refuse(w, http.StatusUpgradeRequired, "upgrade_required", "this is the signaling WebSocket; open it with ws: or wss:")
	case h.rt.isDraining():
		return refuseUntil(w, http.StatusServiceUnavailable, drainSpread, "draining", "no new sessions here; play from the origin")
	case h.full():
		return refuseUntil(w, http.StatusServiceUnavailable, 30*time.Second, "full", "too many sessions; play from the origin")
	}
	source := clientAddr(r)
	if wait, ok := h.rt.sessions.allow(sourceOf(source), h.rt.now()); !ok {
		return refuseUntil(w, http.StatusTooManyRequests, wait, "too_many", "too many sessions from this address; play from the origin")
	}
	ws, err := upgrader.Upgrade(hijacker{w}, r, nil)
	if err != nil {
		return nil // the library has answered
	}
	c := &conn{rt: h.rt, ws: ws, site: h.site, at: turn.KnownBy(host, r), source: sourceOf(source), prefix: prefixOf(source)}
	if err := h.rt.enter(c); err != nil {
		_ = ws.NetConn().Close()
		return nil
	}
	go c.run()
	return nil
}

// clientAddr is the viewer's address as Caddy knows it (trusted proxies
// considered).
func clientAddr(r *http.Request) netip.Addr {
	s, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string)
	if s == "" {
		s, _, _ = net.SplitHostPort(r.RemoteAddr)
	}
	s, _, _ = strings.Cut(s, "%")
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}
	}
	return a.Unmap()
}

// prefixOf is the network by which peers count as near: /24 or /48.
func prefixOf(a netip.Addr) string {
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// notShared ends sessions of a presentation whose sharing was stopped.
var notShared = &signal.Message{
	Type: signal.ErrorMsg, Code: "not_shared", Detail: "this presentation is not shared; play from the origin",
}

// banned ends sessions of a viewer that was banned.
var banned = &signal.Message{
	Type: signal.ErrorMsg, Code: "banned", Detail: "sessions of this viewer are refused for a while; play from the origin",
}

// greet takes the hello and puts the peer into its swarm. ok is false if the
// connection ends; the peer has been told why.
func (c *conn) greet() (ok bool) {
	m, ok := c.read()
	if !ok {
		return false
	}
	if m.Type != signal.Hello {
		c.fail("hello_first", "the first message must be hello with the pass")
		return false
	}
	app := c.rt.current.Load()
	if app == nil {
		c.fail("draining", "the mesh is being taken out of service")
		return false
	}
	pass, err := app.keys.Load().Verifier().VerifyPass(m.Pass, c.rt.now())
	if err != nil {
		c.fail("bad_pass", "the pass is not good here; open a new session")
		return false
	}
	p := c.rt.catalog.bySwarm(pass.Swarm)
	switch {
	case p == nil || p.host != c.at.Host:
		c.fail("bad_pass", "the pass is for a swarm that is not here; load the manifest again and open a new session")
	case p.stopped.Load() != nil:
		c.finish(notShared)
	case c.peer.UnmarshalText([]byte(pass.Peer)) != nil:
		c.fail("bad_pass", "the pass names no peer of this edge")
	default:
		return c.join(p, pass)
	}
	return false
}

func (c *conn) join(p *presentation, pass tokens.Pass) (ok bool) {
	now := c.rt.now()
	stands, _ := c.standing(now)
	if c.viewer = stands.viewer; c.rt.bans.refuses(c.viewer, now) {
		c.finish(banned)
		return false
	}
	s, err := c.rt.swarm(pass.Swarm, p)
	if err != nil {
		c.fail("draining", err.Error())
		return false
	}
	if s.banned(c.peer) {
		c.rt.release(s)
		c.finish(banned)
		return false
	}
	c.swarm, c.receiveOnly = s, pass.ReceiveOnly
	c.passUntil(pass.Expires)
	c.send(signal.Encode(&signal.Message{
		Type: signal.Welcome, AnnounceMS: c.site.announce.Milliseconds(), ReportMS: c.site.report.Milliseconds(),
	}))
	s.join(c, tracker.Facts{
		Scope: c.rt.group(p, stands), Prefix: c.prefix, Viewer: trackerViewer(c.viewer, c.source),
		MaxTold: c.rt.sites.of(c.at.Host, c.site).maxTold, ReceiveOnly: pass.ReceiveOnly,
	})
	if p.stopped.Load() != nil { // meanwhile, when c was not in the swarm yet
		c.finish(notShared)
	}
	return true
}

// renew answers with a new pass and new credentials.
func (c *conn) renew() {
	now := c.rt.now()
	app := c.rt.current.Load()
	switch {
	case app == nil, !c.swarm.has(c), c.rt.bans.refuses(c.viewer, now):
		c.fail("refused", "the session is not renewed; play from the origin")
		return
	case now.Sub(c.renewed) < renewEvery:
		c.send(signal.Encode(&signal.Message{Type: signal.ErrorMsg, Code: "too_soon", Detail: "renew once in half the life of a pass"}))
		return
	}
	c.renewed = now
	st := c.rt.sites.of(c.at.Host, c.site)
	stands, ok := c.standing(now)
	scope := c.rt.scopeOf(c.swarm.presentation, stands)
	expires := earlier(now.Add(st.ttl), stands.until)
	if !ok || len(scope) == 0 || expires.Sub(now) < leastSession {
		c.fail("refused", "the viewer token ends; open a new session with a new one")
		return
	}
	pass, err := app.keys.Load().SignPass(tokens.Pass{
		Peer: c.peer.String(), Swarm: c.swarm.id, Scope: scope,
		ReceiveOnly: c.receiveOnly, Issued: now, Expires: expires,
	})
	if err != nil {
		c.fail("refused", "the session cannot be renewed")
		return
	}
	c.passUntil(expires)
	c.send(signal.Encode(&signal.Message{
		Type: signal.Pass, Pass: pass, ExpiresMS: expires.Sub(now).Milliseconds(),
		ICEServers: app.relay.ICEServers(c.at, c.peer.String(), c.swarm.id, expires),
	}))
}
