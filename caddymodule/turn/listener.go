package turn

import (
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/turnserver"
)

func init() { caddy.RegisterModule(&ListenerWrapper{}) }

const (
	// sortWait is how long a client may take for its handshake and, where ALPN does
	// not say what it speaks, its first bytes.
	sortWait = 10 * time.Second
	// maxSorting is how many connections are looked at at once. Beyond, they go to
	// the HTTP server unseen, so that it is never worse off for this listener.
	maxSorting = 1024
	// maxSortingPerSource is how many of those one source may have. Where all slots are
	// taken, the source with the most gives one up for a source with less.
	maxSortingPerSource = maxSorting / 4

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
// untouched.
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
	if port := portOf(ln.Addr()); port != 0 {
		l.relay.shared.Store(port, true)
	}
	return &sortingListener{
		Listener: ln, server: l.relay.server.Server,
		ready: make(chan accepted), closed: make(chan struct{}),
	}
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
	slots  slots
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
		if err != nil || !isTLS {
			if !l.hand(conn, err) {
				return
			}
			continue
		}
		source, known := sourceOf(tc)
		sl := l.slots.take(tc, source)
		if sl == nil {
			if !l.hand(tc, nil) {
				return
			}
			continue
		}
		go func() {
			defer l.slots.give(sl)
			if !known { // it waits for the PROXY header
				behind, _ := addrOf(tc)
				if !l.slots.move(sl, behind) {
					l.hand(tc, nil)
					return
				}
			}
			l.sort(tc, sl)
		}()
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
	addr := ap.Addr().Unmap()
	if addr.Is6() {
		p, _ := addr.WithZone("").Prefix(64)
		addr = p.Addr()
	}
	return addr, err == nil
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

// sort finds out what a client speaks. Where it does not say in time, or its
// handshake fails, the HTTP server gets it and deals with that as ever.
func (l *sortingListener) sort(tc *tls.Conn, sl *slot) {
	ctx, cancel := context.WithTimeout(context.Background(), sortWait)
	defer cancel()
	if err := tc.HandshakeContext(ctx); err != nil {
		l.hand(tc, nil)
		return
	}
	switch tc.ConnectionState().NegotiatedProtocol {
	case alpnTURN:
		l.server.ServeConn(tc)
	case "":
		first, isTURN := peekSTUN(tc, sl)
		switch {
		case isTURN:
			l.server.ServeConn(&peekedConn{tc, first})
		case len(first) == 0:
			l.hand(tc, nil)
		default:
			l.hand(&peekedConn{tc, first}, nil)
		}
	default:
		l.hand(tc, nil) // as it is: net/http speaks HTTP/2 only on a *tls.Conn
	}
}

// peekSTUN reads the first bytes, at most eight, and says whether they begin a
// STUN message (RFC 8489, section 5): two zero bits and, at four, the cookie.
func peekSTUN(c net.Conn, sl *slot) (first []byte, isSTUN bool) {
	sl.deadline(time.Now().Add(sortWait))
	defer func() { _ = c.SetReadDeadline(time.Time{}) }()
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
