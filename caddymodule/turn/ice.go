package turn

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// KnownAs is what a viewer knows the edge by.
type KnownAs struct {
	Host string // of the request, in lower case, with the port if it is not the default
	TLS  bool   // the viewer's own TLS ends here
	Port int    // of the listener that took the request; 0 where nobody knows
}

// KnownBy returns what the sender of r knows the edge by; host is the request's.
func KnownBy(host string, r *http.Request) KnownAs {
	at := KnownAs{Host: host, TLS: r.TLS != nil}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		at.Port = portOf(addr)
	}
	return at
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
// that user and expire when it says; what they relay is reported for the group.
func (r *Relay) ICEServers(at KnownAs, user, group string, expires time.Time) []signal.ICEServer {
	if r.server == nil {
		return nil
	}
	name, port := at.Host, "443"
	if h, p, err := net.SplitHostPort(at.Host); err == nil {
		name, port = h, p
	}
	name = strings.Trim(name, "[]")
	var stun, turn []string
	for _, b := range r.server.bound {
		h := name
		if !b.addr.Addr().IsUnspecified() && b.network != "tls" {
			h = b.addr.Addr().Unmap().String()
		}
		hp := net.JoinHostPort(h, strconv.Itoa(int(b.addr.Port())))
		switch b.network {
		case "udp":
			stun = append(stun, "stun:"+hp)
			turn = append(turn, "turn:"+hp+"?transport=udp")
		case "tcp":
			turn = append(turn, "turn:"+hp+"?transport=tcp")
		case "tls":
			turn = append(turn, "turns:"+hp+"?transport=tcp")
		}
	}
	if _, shared := r.shared.Load(at.Port); shared && at.TLS {
		turn = append(turn, "turns:"+net.JoinHostPort(name, port)+"?transport=tcp")
	}
	var out []signal.ICEServer
	if len(stun) > 0 {
		out = append(out, signal.ICEServer{URLs: stun})
	}
	if r.opts.TURN != nil && len(turn) > 0 && r.server.RelayAvailable() {
		name, password := tokens.TURNCredentials(r.opts.Secret, user, expires)
		out = append(out, signal.ICEServer{URLs: turn, Username: name, Credential: password})
		r.opts.Usage.expect(user, group, time.Now(), expires)
	}
	return out
}
