package caddymodule

import (
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// knownAs is what a viewer knows the edge by.
type knownAs struct {
	host string // of the request, in lower case, with the port if it is not the default
	tls  bool   // the viewer's own TLS ends here
	port int    // of the listener that took the request; 0 where nobody knows
}

// knownBy gives what the sender of r knows the edge by; host is the request's.
func knownBy(host string, r *http.Request) knownAs {
	at := knownAs{host: host, tls: r.TLS != nil}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		at.port = portOf(addr)
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

// iceServers gives the STUN and TURN servers of a session (RFC 7064, RFC 7065).
// Credentials, where the relay has room and budget, are for one peer and expire
// with its pass; what it relays then counts for the swarm. at is what the viewer
// knows the edge by.
func (a *App) iceServers(at knownAs, peer, swarm string, expires time.Time) []signal.ICEServer {
	if a.relay == nil {
		return nil
	}
	name, port := at.host, "443"
	if h, p, err := net.SplitHostPort(at.host); err == nil {
		name, port = h, p
	}
	name = strings.Trim(name, "[]")
	var stun, turn []string
	for _, b := range a.relay.bound {
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
	if _, shared := a.turnPorts.Load(at.port); shared && at.tls {
		turn = append(turn, "turns:"+net.JoinHostPort(name, port)+"?transport=tcp")
	}
	var out []signal.ICEServer
	if len(stun) > 0 {
		out = append(out, signal.ICEServer{URLs: stun})
	}
	if a.TURN != nil && len(turn) > 0 && a.relay.server.RelayAvailable() {
		user, password := tokens.TURNCredentials(a.secret, peer, expires)
		out = append(out, signal.ICEServer{URLs: turn, Username: user, Credential: password})
		a.rt.ledger.expect(peer, swarm, a.rt.now(), expires)
	}
	return out
}
