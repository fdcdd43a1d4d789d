package turn

import (
	"cmp"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// KnownAs is what a viewer knows the edge by.
type KnownAs struct {
	Host string // of the request, in lower case, with the port if it is not the default
	TLS  bool   // the viewer's own TLS, or a CDN's, ends here
	Name string // that TLS has asked for, which the certificate is for
	Port int    // of the listener that took the request; 0 where nobody knows
}

// name is the host that was asked for, without port.
func (at KnownAs) name() string {
	name := at.Host
	if h, _, err := net.SplitHostPort(at.Host); err == nil {
		name = h
	}
	return strings.Trim(name, "[]")
}

// portOf is the port of a TCP or UDP address, or 0.
func portOf(addr net.Addr) int {
	switch a := addr.(type) {
	case *net.TCPAddr:
		return a.Port
	case *net.UDPAddr:
		return a.Port
	}
	return 0
}

// ICEServers returns the STUN and TURN servers (RFC 7064, RFC 7065) for one user,
// who knows the edge as at. Credentials, where the relay has room and budget, are for
// that user and expire when it says; what they relay is reported for the group. The
// servers of other providers stand last.
func (r *Relay) ICEServers(at KnownAs, user, group string, expires time.Time) []signal.ICEServer {
	var out []signal.ICEServer
	if r.server != nil {
		stun, turn := r.urls(at)
		if len(stun) > 0 {
			out = append(out, signal.ICEServer{URLs: stun})
		}
		if r.opts.TURN != nil && len(turn) > 0 && r.server.RelayAvailable() {
			name, password := tokens.TURNCredentials(r.opts.Secret, user, expires)
			out = append(out, signal.ICEServer{URLs: turn, Username: name, Credential: password})
			r.server.ExpectUser(name)
			r.opts.Usage.expect(user, group, time.Now(), expires)
		}
	}
	return append(out, r.opts.ICEServers...)
}

// urls returns the URLs of the own servers.
func (r *Relay) urls(at KnownAs) (stun, turn []string) {
	add := func(network, host, port string) {
		switch hp := net.JoinHostPort(host, port); network {
		case "udp":
			stun = append(stun, "stun:"+hp)
			turn = append(turn, "turn:"+hp+"?transport=udp")
		case "tcp":
			turn = append(turn, "turn:"+hp+"?transport=tcp")
		case "tls":
			turn = append(turn, "turns:"+hp+"?transport=tcp")
		}
	}
	as := map[string]advertised{}
	if r.opts.TURN != nil {
		as, _ = advertisedBy(r.opts.TURN.Advertise) // it has been validated
	}
	advertise := func(network, port string) bool {
		a, ok := as[network]
		if !ok {
			a, ok = as[""]
		}
		if ok {
			add(network, a.host, cmp.Or(a.port, port))
		}
		return ok
	}
	for _, b := range r.open() {
		port := strconv.Itoa(int(b.addr.Port()))
		if advertise(b.network, port) {
			continue
		}
		for _, host := range r.hosts(b, at) {
			add(b.network, host, port)
		}
	}
	if port := strconv.Itoa(at.Port); at.TLS {
		if _, ok := r.shared.Load(at.Port); ok {
			_, public, err := net.SplitHostPort(at.Host)
			if err != nil {
				public = "443"
			}
			name := cmp.Or(at.Name, at.name())
			if name != at.name() { // who asked is a CDN, whose port is another
				public = port
			}
			if a, ok := as["tls"]; !ok && as[""].host == "" {
				add("tls", name, public)
			} else {
				add("tls", cmp.Or(a.host, as[""].host), cmp.Or(a.port, public))
			}
		}
		if _, ok := r.server.sharedUDP.Load(at.Port); ok && !advertise("udp", port) {
			for _, host := range r.hosts(&bound{network: "udp", addr: netip.AddrPortFrom(netip.IPv6Unspecified(), 0)}, at) {
				add("udp", host, port)
			}
		}
	}
	return stun, turn
}

// hosts are those that viewers reach a listener by, where nothing is advertised: the
// relay's public addresses, of the families that the listener has; for TLS the name of
// a certificate.
func (r *Relay) hosts(b *bound, at KnownAs) []string {
	ip := b.addr.Addr().Unmap()
	t := r.opts.TURN
	switch {
	case b.network == "tls":
		return []string{cmp.Or(at.Name, at.name())}
	case t == nil && !ip.IsUnspecified():
		return []string{ip.String()}
	case t == nil:
		return []string{at.name()}
	}
	var out []string
	for _, public := range []string{t.RelayAddress, t.RelayAddress6} {
		addr, err := netip.ParseAddr(public)
		if err == nil && (ip.IsUnspecified() && (ip.Is6() || addr.Is4()) || ip.Is4() == addr.Unmap().Is4()) {
			out = append(out, addr.Unmap().String())
		}
	}
	if len(out) == 0 {
		return []string{at.name()} // the listener is of a family that the relay has no address of
	}
	return out
}

// Share returns how many bytes a second one more viewer is to take over the relay at most,
// so that the relay has nothing to drop: half of UserBandwidth, which counts both
// directions, and no more than its part of TotalBandwidth among those who use the relay.
// 0 is no bound.
func (r *Relay) Share() int64 {
	t := r.opts.TURN
	if t == nil || r.server == nil {
		return 0
	}
	least := t.UserBandwidth / 2
	if t.TotalBandwidth > 0 {
		if part := max(1, t.TotalBandwidth/int64(1+r.share.count(r.server.Allocations))); least == 0 || part < least {
			least = part
		}
	}
	return least
}
