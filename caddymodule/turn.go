package caddymodule

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	goruntime "runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
	"github.com/viewmesh/viewmesh/turnserver"
)

// defaultSTUN is where the STUN server listens unless something else is said.
const defaultSTUN = "udp/:3478"

// TURN configures the relay. Listen, RelayAddress, RelayBind, RelayPorts and
// Realm make the sockets: a config that changes one of them gets another server,
// and the old one's allocations end. As both are there for a moment, a tcp or tls
// listener that stays the same beside such a change needs a restart; a reload says
// so and changes nothing. The rest may change over a reload.
type TURN struct {
	// Listen are the addresses: "udp/HOST:PORT", "tcp/HOST:PORT" or
	// "tls/HOST:PORT", the last with Caddy's certificates. Default: udp/:3478 and
	// tcp/:3478.
	Listen []string `json:"listen,omitempty"`

	// RelayAddress is the public IP address of the relay, as peers reach it.
	// Required.
	RelayAddress string `json:"relay_address"`

	// RelayBind is the local IP address of the relay's sockets, where it is not the
	// public one. Default: any.
	RelayBind string `json:"relay_bind,omitempty"`

	// RelayPorts is the range of the relay's ports, "MIN-MAX". Default: 49152-65535.
	RelayPorts string `json:"relay_ports,omitempty"`

	// AllowPeers are prefixes that may be relayed to although they are private,
	// loopback or special. Default: none.
	AllowPeers []string `json:"allow_peers,omitempty"`

	// UserBandwidth bounds what one viewer relays, in bytes a second. Default: no
	// bound.
	UserBandwidth int64 `json:"user_bandwidth,omitempty"`

	// UserAllocations bounds the allocations of one viewer. Default: 64.
	UserAllocations int `json:"user_allocations,omitempty"`

	// SharedSecret lets other applications make credentials for the relay
	// (draft-uberti-behave-turn-rest-00). Viewers of the mesh do not need it. It may
	// be a placeholder, such as {env.TURN_SECRET}. Default: none.
	SharedSecret string `json:"shared_secret,omitempty"`

	// Realm is the realm of the credentials. Default: viewmesh.
	Realm string `json:"realm,omitempty"`
}

// relays holds the STUN and TURN servers while any config uses them, by what
// their sockets are made from.
var relays = caddy.NewUsagePool()

// relay is a running STUN and TURN server.
type relay struct {
	server *turnserver.Server
	bound  []boundListener
}

type boundListener struct {
	network string // udp, tcp or tls
	addr    netip.AddrPort
}

// Destruct closes the server.
func (r *relay) Destruct() error { return r.server.Close() }

// relaySockets is what makes the sockets of a relay; its JSON is its key.
type relaySockets struct {
	Listen                                     []string
	RelayAddress, RelayBind, RelayPorts, Realm string
}

// sockets gives what a asks for; optional says that it may fail, because nobody
// asked for it.
func (a *App) sockets() (s relaySockets, optional bool) {
	if a.STUN != "" && a.STUN != "off" {
		s.Listen = append(s.Listen, a.STUN)
	}
	if t := a.TURN; t != nil {
		s.RelayAddress, s.RelayBind, s.RelayPorts, s.Realm = t.RelayAddress, t.RelayBind, t.RelayPorts, t.Realm
		if len(t.Listen) == 0 {
			s.Listen = append(s.Listen, "udp/:3478", "tcp/:3478")
		}
		s.Listen = append(s.Listen, t.Listen...)
	} else if a.STUN == "" {
		return relaySockets{Listen: []string{defaultSTUN}}, true
	}
	return s, false
}

// provisionTURN opens the sockets or finds them open.
func (a *App) provisionTURN(ctx caddy.Context) error {
	if a.TURN != nil {
		if err := a.TURN.validate(); err != nil {
			return err
		}
	}
	sockets, optional := a.sockets()
	if len(sockets.Listen) == 0 {
		return nil
	}
	policy, err := a.turnPolicy()
	if err != nil {
		return err
	}
	if err := a.provisionTLS(ctx, sockets.Listen); err != nil {
		return err
	}
	key, err := json.Marshal(sockets)
	if err != nil {
		return err
	}
	v, _, err := relays.LoadOrNew(string(key), func() (caddy.Destructor, error) { return a.openRelay(sockets, policy) })
	if err != nil {
		if optional {
			a.logger.Warn("no STUN server: viewers behind NATs will not find each other; free the port or set the global option mesh { stun ADDRESS }",
				zap.String("listen", defaultSTUN), zap.Error(err))
			return nil
		}
		return err
	}
	a.relay, a.relayID = v.(*relay), string(key)
	return nil
}

func (a *App) cleanupTURN() error {
	if a.relayID == "" {
		return nil
	}
	// A session that is being opened may still look at a.relay.
	key := a.relayID
	a.relayID = ""
	_, err := relays.Delete(key)
	return err
}

// provisionTLS prepares Caddy's certificates for the tls listeners.
func (a *App) provisionTLS(ctx caddy.Context, listen []string) error {
	needed := false
	for _, l := range listen {
		needed = needed || strings.HasPrefix(l, "tls/")
	}
	if !needed {
		return nil
	}
	policies := caddytls.ConnectionPolicies{new(caddytls.ConnectionPolicy)}
	if err := policies.Provision(ctx); err != nil {
		return fmt.Errorf("prepare TLS for turn: %w", err)
	}
	a.tls = policies.TLSConfig(ctx)
	return nil
}

// openRelay makes the server and its sockets.
func (a *App) openRelay(s relaySockets, p turnserver.Policy) (*relay, error) {
	cfg := turnserver.Config{Realm: s.Realm, Policy: p, Logger: a.rt.logger.Named("turn")}
	var err error
	if s.RelayAddress != "" {
		if cfg.RelayAddress, err = netip.ParseAddr(s.RelayAddress); err != nil {
			return nil, fmt.Errorf("turn relay_address must be an IP address: %w", err)
		}
	}
	if s.RelayBind != "" {
		if cfg.RelayBind, err = netip.ParseAddr(s.RelayBind); err != nil {
			return nil, fmt.Errorf("turn relay_bind must be an IP address: %w", err)
		}
	}
	if cfg.RelayPorts, err = parsePorts(s.RelayPorts); err != nil {
		return nil, err
	}
	server, err := turnserver.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("turn: %w", err)
	}
	r := &relay{server: server}
	for _, l := range s.Listen {
		if err := r.listen(l, a.currentTLS); err != nil {
			return nil, errors.Join(err, server.Close())
		}
	}
	return r, nil
}

// currentTLS is the TLS configuration of the config that runs now.
func (a *App) currentTLS() *tls.Config {
	if c := a.rt.policy(a); c.tls != nil {
		return c.tls
	}
	return a.tls
}

func (r *relay) listen(l string, tlsConfig func() *tls.Config) error {
	network, hostport, err := parseListen(l)
	if err != nil {
		return err
	}
	var addr net.Addr
	switch network {
	case "udp":
		addr, err = r.server.ListenUDP(hostport, min(goruntime.GOMAXPROCS(0), 4))
	case "tcp":
		addr, err = r.server.ListenTCP(hostport)
	case "tls":
		addr, err = r.server.ListenTLS(hostport, tlsConfig)
	}
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("%w; if it is this server's own from before a reload, restart Caddy", err)
	}
	if err != nil {
		return err
	}
	ap, err := netip.ParseAddrPort(addr.String())
	if err != nil {
		return err
	}
	r.bound = append(r.bound, boundListener{network, ap})
	return nil
}

// parseListen reads "udp/HOST:PORT"; udp may be left out.
func parseListen(s string) (network, hostport string, err error) {
	network, host, port, err := caddy.SplitNetworkAddress(s)
	if err != nil {
		return "", "", fmt.Errorf("listen address %q: %w", s, err)
	}
	switch network {
	case "":
		network = "udp"
	case "udp", "tcp", "tls":
	default:
		return "", "", fmt.Errorf("listen address %q: the network must be udp, tcp or tls", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || (n == 0 && port != "0") {
		return "", "", fmt.Errorf("listen address %q: give one port, from 0 to 65535", s)
	}
	return network, net.JoinHostPort(host, port), nil
}

// parsePorts reads "MIN-MAX"; empty is the server's default.
func parsePorts(s string) (r turnserver.PortRange, err error) {
	if s == "" {
		return r, nil
	}
	lo, hi, _ := strings.Cut(s, "-")
	a, err1 := strconv.ParseUint(lo, 10, 16)
	b, err2 := strconv.ParseUint(hi, 10, 16)
	if err1 != nil || err2 != nil || a == 0 || b < a {
		return r, fmt.Errorf("turn relay_ports %q: write MIN-MAX, from 1 to 65535", s)
	}
	return turnserver.PortRange{Min: uint16(a), Max: uint16(b)}, nil
}

// parsePrefix reads a prefix or a single address.
func parsePrefix(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return p, fmt.Errorf("turn allow_peers %q: write an IP address or ADDRESS/BITS", s)
	}
	return p, nil
}

// turnPolicy is what may change over a reload.
func (a *App) turnPolicy() (turnserver.Policy, error) {
	p := turnserver.Policy{Secrets: [][]byte{a.secret}}
	t := a.TURN
	if t == nil {
		return p, nil
	}
	p.RelayEnabled = true
	p.UserBandwidth, p.UserAllocations = t.UserBandwidth, t.UserAllocations
	if t.SharedSecret != "" {
		p.Secrets = append(p.Secrets, []byte(t.SharedSecret))
	}
	for _, s := range t.AllowPeers {
		prefix, err := parsePrefix(s)
		if err != nil {
			return p, err
		}
		p.AllowPeers = append(p.AllowPeers, prefix)
	}
	return p, nil
}

// validate says what is wrong with t.
func (t *TURN) validate() error {
	for _, l := range t.Listen {
		if _, _, err := parseListen(l); err != nil {
			return err
		}
	}
	addr, err := netip.ParseAddr(t.RelayAddress)
	if err != nil || addr.IsUnspecified() {
		return fmt.Errorf("turn relay_address %q: give the public IP address of this server", t.RelayAddress)
	}
	if t.RelayBind != "" {
		if _, err := netip.ParseAddr(t.RelayBind); err != nil {
			return fmt.Errorf("turn relay_bind %q: give a local IP address", t.RelayBind)
		}
	}
	if _, err := parsePorts(t.RelayPorts); err != nil {
		return err
	}
	for _, s := range t.AllowPeers {
		if _, err := parsePrefix(s); err != nil {
			return err
		}
	}
	if t.UserBandwidth < 0 || t.UserAllocations < 0 {
		return errors.New("turn user_bandwidth and user_allocations cannot be negative")
	}
	return nil
}

// applyTURN gives the server this config's policy.
func (a *App) applyTURN() {
	if a.relay == nil {
		return
	}
	p, err := a.turnPolicy()
	if err == nil {
		err = a.relay.server.SetPolicy(p)
	}
	if err != nil {
		a.logger.Error("TURN keeps the policy it had", zap.Error(err))
	}
}

// knownAs is what a viewer knows the edge by.
type knownAs struct {
	host string // of the request, in lower case, with the port if it is not the default
	tls  bool   // the viewer's own TLS ends here
}

// iceServers gives the STUN and TURN servers of a session (RFC 7064, RFC 7065);
// credentials, where there is a relay, are for one peer and expire with its pass.
// at is what the viewer knows the edge by.
func (a *App) iceServers(at knownAs, peer string, expires time.Time) []signal.ICEServer {
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
	if at.tls && a.sharesTLS.Load() {
		turn = append(turn, "turns:"+net.JoinHostPort(name, port)+"?transport=tcp")
	}
	var out []signal.ICEServer
	if len(stun) > 0 {
		out = append(out, signal.ICEServer{URLs: stun})
	}
	if a.TURN != nil && len(turn) > 0 {
		user, password := tokens.TURNCredentials(a.secret, peer, expires)
		out = append(out, signal.ICEServer{URLs: turn, Username: user, Credential: password})
	}
	return out
}

var _ caddy.Destructor = (*relay)(nil)
