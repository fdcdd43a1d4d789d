package rtc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/stun"
	"github.com/pion/transport/v2"
	"github.com/pion/transport/v2/stdnet"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// relayWait is how long a relay may take to be connected to.
const relayWait = 5 * time.Second

// families is the network as pion/ice reaches relays. It asks for udp4 and tcp4 only,
// which leaves a viewer that has only IPv6 without a relay; here the family is that of
// the relay's address.
type families struct{ *stdnet.Net }

var _ transport.Net = families{}

func newFamilies() (families, error) {
	n, err := stdnet.NewNet()
	return families{n}, err
}

// ListenPacket opens the socket that a relay is reached from over UDP.
func (families) ListenPacket(_, _ string) (net.PacketConn, error) {
	return net.ListenPacket("udp", ":0")
}

// ResolveUDPAddr takes an IPv6 address where IPv4 is asked for and this machine has
// none, or where the relay's address is one.
func (families) ResolveUDPAddr(network, address string) (*net.UDPAddr, error) {
	address = bracketed(address)
	if strings.HasPrefix(address, "[") {
		return net.ResolveUDPAddr("udp6", address)
	}
	if network == "udp4" && !slices.ContainsFunc(addresses(), func(ip net.IP) bool { return ip.To4() != nil && !ip.IsLoopback() }) {
		if a, err := net.ResolveUDPAddr("udp6", address); err == nil {
			return a, nil
		}
	}
	return net.ResolveUDPAddr(network, address)
}

// relays dials relays over TCP and TLS, of whatever family, trusting what the rest of the
// peer trusts. pion/ice leaves to a dialer the whole way to the relay, TLS included.
type relays struct {
	roots *x509.CertPool // nil for the machine's

	mu  sync.Mutex
	tls map[string]string // host:port -> name for the certificate
}

// know notes which of the servers speak TLS.
func (r *relays) know(servers []signal.ICEServer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range servers {
		for _, u := range s.URLs {
			if host, port, ok := secure(u); ok {
				r.tls[fmt.Sprintf("%s:%d", host, port)] = host // as pion/ice joins them, with no brackets
			}
		}
	}
}

// bracketed puts the brackets around an IPv6 address, which pion/ice joins to its port
// without them.
func bracketed(address string) string {
	if i := strings.LastIndexByte(address, ':'); strings.Contains(address[:max(i, 0)], ":") {
		return net.JoinHostPort(strings.Trim(address[:i], "[]"), address[i+1:])
	}
	return address
}

// Dial connects to a relay.
func (r *relays) Dial(_, address string) (net.Conn, error) {
	r.mu.Lock()
	name, secure := r.tls[address]
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(context.Background(), relayWait)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", bracketed(address))
	if err != nil || !secure {
		return conn, err
	}
	over := tls.Client(conn, &tls.Config{ServerName: name, RootCAs: r.roots, MinVersion: tls.VersionTLS12})
	if err := over.HandshakeContext(ctx); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return over, nil
}

// waits are how long a relayed pair waits for a better one before it is nominated.
const (
	// relayLast: something direct may work.
	relayLast = time.Second
	// relaySoon: nothing direct has worked here so far.
	relaySoon = 200 * time.Millisecond
)

// luck is how connections of this network came about.
type luck struct {
	mu              sync.Mutex
	direct, relayed int
}

func (l *luck) note(p Path) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if p.Relayed() {
		l.relayed++
	} else if p.Remote != "" {
		l.direct++
	}
}

// forget is for another network.
func (l *luck) forget() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.direct, l.relayed = 0, 0
}

// wait is what a relayed pair is to wait.
func (l *luck) wait(relayOnly bool) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case relayOnly:
		return 0
	case l.direct == 0 && l.relayed >= 2:
		return relaySoon
	}
	return relayLast
}

// secure returns the host and port of a turns: URL over TCP (RFC 7065).
func secure(url string) (host string, port int, ok bool) {
	u, err := stun.ParseURI(url)
	if err != nil || u.Scheme != stun.SchemeTypeTURNS || u.Proto != stun.ProtoTypeTCP {
		return "", 0, false
	}
	return u.Host, u.Port, true
}
