package turn

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/turnserver"
)

func init() { caddy.RegisterModule(&ListenerWrapper{}) }

const (
	// sortWait is how long a client may take for its handshake and, where ALPN does
	// not say what it speaks, its first bytes. Then it is the HTTP server's.
	sortWait   = 10 * time.Second
	alpnTURN   = "stun.turn" // RFC 7443
	alpnSTUN   = "stun.nat-discovery"
	stunCookie = 0x2112a442
)

// ListenerWrapper serves TURN over TLS on the ports of an HTTPS server, with the
// same certificates. A client that names no protocol in ALPN, as browsers do for
// TURN, and begins with a STUN message is served TURN. So is one that names
// stun.turn, where the site's tls lists that, before http/1.1 because some clients
// name both: alpn stun.turn h2 http/1.1. All others get HTTP as before. It needs
// turn in the app mesh, and stands after tls. Connections without TLS pass
// untouched. Where it stands before tls too (mesh_turn tls mesh_turn), TURN here costs no
// more than on a tls listener of the relay.
type ListenerWrapper struct {
	relay *Relay
}

// App is what the app with the module ID mesh offers to the listener wrapper.
type App interface {
	// Relay returns the relay of the app, which is provisioned, or nil.
	Relay() *Relay
}

// CaddyModule says what this module is.
func (*ListenerWrapper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.listeners.mesh_turn", New: func() caddy.Module { return new(ListenerWrapper) }}
}

// Provision finds the relay.
func (l *ListenerWrapper) Provision(ctx caddy.Context) (err error) {
	l.relay, err = relayOf(ctx, "the listener wrapper mesh_turn")
	return err
}

// relayOf returns the relay of the app, for what cannot be without.
func relayOf(ctx caddy.Context, who string) (*Relay, error) {
	v, err := ctx.App("mesh")
	if err != nil {
		return nil, err
	}
	app, ok := v.(App)
	if !ok {
		return nil, fmt.Errorf("the app mesh is %T, which has no relay", v)
	}
	r := app.Relay()
	if r == nil || r.opts.TURN == nil || r.server == nil {
		return nil, errors.New(who + " needs a relay: configure turn in the global option mesh")
	}
	return r, nil
}

// UnmarshalCaddyfile reads mesh_turn, which has no options.
func (l *ListenerWrapper) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Parse(d, "mesh_turn", nil)
}

// WrapListener sorts the connections of ln. Sessions that are opened through it
// are told of TURN there.
func (l *ListenerWrapper) WrapListener(ln net.Listener) net.Listener {
	s := &sortingListener{
		Listener: ln, server: l.relay.server.Server,
		ready: make(chan accepted), closed: make(chan struct{}),
	}
	if port := portOf(ln.Addr()); port != 0 {
		l.relay.shared.Store(port, true)
	}
	if first, twice := l.relay.sorting.Swap(ln.Addr().String(), s); twice {
		first.(*sortingListener).below.Store(true)
	}
	return s
}

type accepted struct {
	conn net.Conn
	err  error
}

// sortingListener gives the HTTP server its connections and the TURN server its
// own.
type sortingListener struct {
	net.Listener
	server *turnserver.Server
	begin  sync.Once
	end    sync.Once
	ready  chan accepted
	closed chan struct{}
	// slots are for the connections that are looked at. Those that get none go to the
	// HTTP server unseen, so that it is never worse off for this listener.
	slots turnserver.Slots
	// below is set where mesh_turn stands twice, and this is the one before tls.
	below atomic.Bool
}

// Accept gives the next connection that is not TURN.
func (l *sortingListener) Accept() (net.Conn, error) {
	l.begin.Do(func() { go l.acceptAll() })
	select {
	case a := <-l.ready:
		return a.conn, a.err
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close ends Accept. What is being sorted then is closed.
func (l *sortingListener) Close() error {
	l.end.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

// acceptAll accepts until the listener is closed.
func (l *sortingListener) acceptAll() {
	for {
		conn, err := l.Listener.Accept()
		tc, isTLS := conn.(*tls.Conn)
		if err == nil && l.below.Load() {
			conn, isTLS = turnserver.BelowTLS(conn), false
		}
		if err != nil || !isTLS {
			if !l.hand(conn, err) {
				return
			}
			continue
		}
		c := &sorting{l: l, tc: tc}
		source, known := sourceOf(tc)
		if c.slot = l.slots.Take(source, c.giveUp); c.slot == nil {
			if !l.hand(tc, nil) {
				return
			}
			continue
		}
		go c.sort(known)
	}
}

// sourceOf returns the source of a connection. known is false where that is a proxy,
// whose header names the source.
func sourceOf(tc *tls.Conn) (source netip.Addr, known bool) {
	below := turnserver.Underlying(tc)
	if below == tc.NetConn() {
		return addrOf(tc)
	}
	source, _ = addrOf(below)
	return source, false
}

func addrOf(conn net.Conn) (netip.Addr, bool) {
	ap, err := netip.ParseAddrPort(conn.RemoteAddr().String())
	return ap.Addr().Unmap().WithZone(""), err == nil
}

// hand gives a connection or an error to Accept; it reports whether there will be
// another Accept.
func (l *sortingListener) hand(conn net.Conn, err error) bool {
	select {
	case l.ready <- accepted{conn, err}:
		return true
	case <-l.closed:
		if conn != nil {
			_ = conn.Close()
		}
		return false
	}
}

// sorting is a connection that is looked at.
type sorting struct {
	l    *sortingListener
	tc   *tls.Conn
	slot *turnserver.Slot

	mu    sync.Mutex
	stage stage
}

// stage is how far the look at a connection has come.
type stage uint8

const (
	shaking stage = iota
	peeking
	sorted // it is the HTTP server's or the TURN server's
)

// enter begins a stage, unless giveUp was called before.
func (c *sorting) enter(next stage) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stage == sorted {
		return false
	}
	c.stage = next
	return true
}

// giveUp leaves the connection to the HTTP server, which deals with it as ever: with a
// handshake that is under way, too.
func (c *sorting) giveUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch c.stage {
	case shaking:
		c.stage = sorted
		go c.l.hand(c.tc, nil)
	case peeking:
		_ = c.tc.SetReadDeadline(time.Now()) // sort hands over what it has read
	}
}

// sort finds out what a client speaks.
func (c *sorting) sort(sourceKnown bool) {
	defer c.slot.Give()
	defer time.AfterFunc(sortWait, c.giveUp).Stop()
	if !sourceKnown { // it waits for the PROXY header
		if source, ok := addrOf(c.tc); ok && !c.slot.Move(source) {
			c.giveUp()
			return
		}
	}
	if err := c.tc.Handshake(); !c.enter(peeking) {
		return
	} else if err != nil {
		c.enter(sorted)
		c.l.hand(c.tc, nil)
		return
	}
	switch c.tc.ConnectionState().NegotiatedProtocol {
	case alpnTURN:
		c.enter(sorted)
		c.l.server.ServeConn(c.tc)
	case "":
		first, isTURN := peekSTUN(c.tc)
		c.enter(sorted)
		_ = c.tc.SetReadDeadline(time.Time{})
		switch {
		case isTURN:
			c.l.server.ServeConn(&peekedConn{c.tc, first})
		case len(first) == 0:
			c.l.hand(c.tc, nil)
		default:
			c.l.hand(&peekedConn{c.tc, first}, nil)
		}
	default:
		c.enter(sorted)
		c.l.hand(c.tc, nil) // as it is: net/http speaks HTTP/2 only on a *tls.Conn
	}
}

// peekSTUN reads the first bytes, at most eight, and says whether they begin a
// STUN message (RFC 8489, section 5): two zero bits and, at four, the cookie.
func peekSTUN(c net.Conn) (first []byte, isSTUN bool) {
	var b [8]byte
	n := 0
	for n < len(b) {
		k, err := c.Read(b[n:])
		n += k
		if n > 0 && b[0] > 3 {
			return b[:n], false
		}
		if err != nil {
			return b[:n], false
		}
	}
	return b[:], binary.BigEndian.Uint32(b[4:]) == stunCookie
}

// peekedConn is a TLS connection of which the first bytes have been read. It
// still has ConnectionState.
type peekedConn struct {
	*tls.Conn
	first []byte
}

// Read gives the first bytes first.
func (c *peekedConn) Read(p []byte) (int, error) {
	if len(c.first) > 0 {
		n := copy(p, c.first)
		c.first = c.first[n:]
		return n, nil
	}
	return c.Conn.Read(p)
}

var (
	_ caddy.Module          = (*ListenerWrapper)(nil)
	_ caddy.Provisioner     = (*ListenerWrapper)(nil)
	_ caddy.ListenerWrapper = (*ListenerWrapper)(nil)
	_ caddyfile.Unmarshaler = (*ListenerWrapper)(nil)
)
