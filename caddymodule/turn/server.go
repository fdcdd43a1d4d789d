package turn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	goruntime "runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/turnserver"
)

// maxSockets bounds the sockets of a UDP port, of which there is one for each core.
const maxSockets = 64

// servers holds the one STUN and TURN server while any config uses it.
var servers = caddy.NewUsagePool()

// serverKey is the key in servers. It is constant: what a config changes is settings,
// policy and listeners of the same server, so that allocations live on.
const serverKey = "turn"

// server is the running STUN and TURN server.
type server struct {
	*turnserver.Server
	listeners *caddy.UsagePool // bound, by what was asked for
	now       atomic.Pointer[current]
	sharedUDP sync.Map // ports of HTTP/3 that serve TURN too
}

// current is what the listeners take from the config that runs now.
type current struct {
	tls   *tls.Config
	proxy caddy.ListenerWrapper // nil where the PROXY protocol is not spoken
}

// newServer makes the server, which listens nowhere yet.
func newServer(logger *zap.Logger, usage *Usage) (*server, error) {
	ts, err := turnserver.New(turnserver.Config{Logger: logger, OnUsage: usage.used})
	if err != nil {
		return nil, fmt.Errorf("turn: %w", err)
	}
	return &server{Server: ts, listeners: caddy.NewUsagePool()}, nil
}

// Destruct closes the server.
func (s *server) Destruct() error { return s.Close() }

// bound is a listener of the server while any config wants it.
type bound struct {
	network string // udp, tcp or tls
	addr    netip.AddrPort
	of      net.Addr
	server  *server
}

// Destruct has the listener take nobody in any more.
func (b *bound) Destruct() error {
	b.server.Retire(b.of)
	return nil
}

// listen opens a listener, or finds it open. The same address may be asked for several
// times where its port is 0; i tells those apart.
func (s *server) listen(l string, i int) (b *bound, key string, err error) {
	network, hostport, err := ParseListen(l)
	if err != nil {
		return nil, "", err
	}
	key = network + "/" + hostport
	if strings.HasSuffix(key, ":0") {
		key += fmt.Sprintf("#%d", i)
	}
	v, _, err := s.listeners.LoadOrNew(key, func() (caddy.Destructor, error) { return s.open(network, hostport) })
	if err != nil {
		return nil, "", err
	}
	return v.(*bound), key, nil
}

func (s *server) open(network, hostport string) (*bound, error) {
	var addr net.Addr
	var err error
	switch network {
	case "udp":
		addr, err = s.ListenUDP(hostport, min(goruntime.GOMAXPROCS(0), maxSockets))
	case "tcp":
		addr, err = s.ListenTCPWith(hostport, s.proxied)
	case "tls":
		addr, err = s.ListenTLSWith(hostport, s.proxied, func() *tls.Config { return s.now.Load().tls })
	}
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		host, port, _ := net.SplitHostPort(hostport)
		return nil, fmt.Errorf("%w: this host has no address %s (it has %s); write listen %s/:%s, and relay_address %s or advertise %s "+
			"where a router translates that address", err, host, strings.Join(hostAddresses(), ", "), network, port, host, host)
	case errors.Is(err, syscall.EADDRINUSE) && network == "udp":
		return nil, fmt.Errorf("%w; where that is the port of HTTP/3, write packet_conn_wrappers { mesh_turn } in the global option servers instead", err)
	case err != nil:
		return nil, err
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return nil, err
	}
	return &bound{network, ap, addr, s}, nil
}

// hostAddresses are the addresses of this host's interfaces, but for loopback and
// link-local ones.
func hostAddresses() (out []string) {
	list, _ := net.InterfaceAddrs()
	for _, a := range list {
		if p, err := netip.ParsePrefix(a.String()); err == nil && !p.Addr().IsLoopback() && !p.Addr().IsLinkLocalUnicast() {
			out = append(out, p.Addr().String())
		}
	}
	if len(out) == 0 {
		out = []string{"loopback only"}
	}
	slices.Sort(out)
	return out
}

// proxied reads the PROXY protocol on a connection where the config that runs now says so.
func (s *server) proxied(conn net.Conn) (net.Conn, error) {
	c := s.now.Load()
	if c == nil || c.proxy == nil {
		return conn, nil
	}
	return c.proxy.WrapListener(&one{conn: conn}).Accept()
}

// one is a listener that has one connection.
type one struct{ conn net.Conn }

func (o *one) Accept() (net.Conn, error) {
	if o.conn == nil {
		return nil, net.ErrClosed
	}
	conn := o.conn
	o.conn = nil
	return conn, nil
}

func (o *one) Close() error   { return nil }
func (o *one) Addr() net.Addr { return &net.TCPAddr{} }

var (
	_ caddy.Destructor = (*server)(nil)
	_ caddy.Destructor = (*bound)(nil)
)
