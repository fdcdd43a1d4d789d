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

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/turnserver"
)

// defaultSTUN is where the STUN server listens unless something else is said.
const defaultSTUN = "udp/:3478"

// maxSockets bounds the sockets of a UDP port, of which there is one for each core.
const maxSockets = 64

// TURN configures the relay. Listen, the relay addresses, RelayPorts and Realm make
// the sockets: a config that changes one of them gets another server, and the old
// one's allocations end. As both are there for a moment, a tcp or tls listener that
// stays the same beside such a change needs a restart; a reload says so and changes
// nothing. The rest may change over a reload: new allocations obey it at once,
// older ones when they are refreshed.
type TURN struct {
	// Listen are the addresses: "udp/HOST:PORT", "tcp/HOST:PORT" or
	// "tls/HOST:PORT", the last with Caddy's certificates. Default: udp/:3478 and
	// tcp/:3478.
	Listen []string `json:"listen,omitempty"`

	// RelayAddress is the public IP address of the relay, as peers reach it.
	// Required.
	RelayAddress string `json:"relay_address"`

	// RelayAddress6 is a second, IPv6, address of the relay, for clients that ask
	// for one (RFC 8656, section 7.2). Default: none.
	RelayAddress6 string `json:"relay_address6,omitempty"`

	// RelayBind is the local IP address of the relay's sockets, where it is not the
	// public one. Default: any.
	RelayBind string `json:"relay_bind,omitempty"`

	// RelayBind6 is RelayBind for RelayAddress6. Default: any.
	RelayBind6 string `json:"relay_bind6,omitempty"`

	// RelayPorts is the range of the relay's ports, "MIN-MAX". Default: 49152-65535.
	RelayPorts string `json:"relay_ports,omitempty"`

	// OwnAddresses are further public addresses of this server that its network
	// interfaces do not show, because a router translates them. They are not
	// relayed to, as those of the interfaces never are. Default: none.
	OwnAddresses []string `json:"own_addresses,omitempty"`

	// AllowPeers are prefixes that may be relayed to although they are private,
	// loopback or special. Default: none.
	AllowPeers []string `json:"allow_peers,omitempty"`

	// DenyPeers are prefixes that are not relayed to, also where AllowPeers opens
	// them. Default: none but what is private, loopback or special.
	DenyPeers []string `json:"deny_peers,omitempty"`

	// UserBandwidth bounds what one viewer relays, both directions together, in
	// bytes a second. Default: no bound.
	UserBandwidth int64 `json:"user_bandwidth,omitempty"`

	// UserBytes bounds what one viewer relays in all, both directions together, in
	// bytes. Default: no bound.
	UserBytes int64 `json:"user_bytes,omitempty"`

	// UserAllocations bounds the allocations of one viewer. Default: 64.
	UserAllocations int `json:"user_allocations,omitempty"`

	// TotalBandwidth bounds what all viewers relay, in bytes a second. Default: no
	// bound.
	TotalBandwidth int64 `json:"total_bandwidth,omitempty"`

	// TotalBytes is the relay's budget, in bytes since the server started. Once it
	// is spent, nothing is relayed any more and sessions are told of STUN only.
	// Default: no bound.
	TotalBytes int64 `json:"total_bytes,omitempty"`

	// UnauthRate bounds the answers a second to one source that has not shown
	// credentials; -1 is no bound. Default: 100.
	UnauthRate int `json:"unauth_rate,omitempty"`

	// SharedSecrets let other applications make credentials for the relay
	// (draft-uberti-behave-turn-rest-00); any of them is good, so that they can be
	// rotated. Viewers of the mesh do not need them. They may be placeholders, such
	// as {env.TURN_SECRET}. Default: none.
	SharedSecrets []string `json:"shared_secrets,omitempty"`

	// Realm is the realm of the credentials. Default: viewmesh.
	Realm string `json:"realm,omitempty"`

	// LogAddresses lets the relay's log lines name addresses of viewers. Default:
	// false.
	LogAddresses bool `json:"log_addresses,omitempty"`
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
	Listen                      []string
	RelayAddress, RelayAddress6 string
	RelayBind, RelayBind6       string
	RelayPorts, Realm           string
}

// sockets gives what a asks for; optional says that it may fail, because nobody
// asked for it.
func (a *App) sockets() (s relaySockets, optional bool) {
	if a.STUN != "" && a.STUN != "off" {
		s.Listen = append(s.Listen, a.STUN)
	}
	if t := a.TURN; t != nil {
		s.RelayAddress, s.RelayAddress6 = t.RelayAddress, t.RelayAddress6
		s.RelayBind, s.RelayBind6 = t.RelayBind, t.RelayBind6
		s.RelayPorts, s.Realm = t.RelayPorts, t.Realm
		listen := t.Listen
		if len(listen) == 0 {
			listen = []string{defaultSTUN, "tcp/:3478"}
		}
		for _, l := range listen {
			if l != a.STUN || strings.HasSuffix(l, ":0") { // the relay answers STUN there anyway
				s.Listen = append(s.Listen, l)
			}
		}
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
	policies := caddytls.ConnectionPolicies{{ALPN: []string{alpnTURN, alpnSTUN}}}
	if err := policies.Provision(ctx); err != nil {
		return fmt.Errorf("prepare TLS for turn: %w", err)
	}
	a.tls = policies.TLSConfig(ctx)
	return nil
}

// openRelay makes the server and its sockets.
func (a *App) openRelay(s relaySockets, p turnserver.Policy) (*relay, error) {
	cfg := turnserver.Config{Realm: s.Realm, Policy: p, Logger: a.rt.logger.Named("turn"), OnUsage: a.rt.relayUsed}
	var err error
	for _, of := range []struct {
		option, value string
		to            *netip.Addr
	}{
		{"relay_address", s.RelayAddress, &cfg.RelayAddress}, {"relay_address6", s.RelayAddress6, &cfg.RelayAddress6},
		{"relay_bind", s.RelayBind, &cfg.RelayBind}, {"relay_bind6", s.RelayBind6, &cfg.RelayBind6},
	} {
		if of.value == "" {
			continue
		}
		if *of.to, err = netip.ParseAddr(of.value); err != nil {
			return nil, fmt.Errorf("turn %s must be an IP address: %w", of.option, err)
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
		addr, err = r.server.ListenUDP(hostport, min(goruntime.GOMAXPROCS(0), maxSockets))
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

var _ caddy.Destructor = (*relay)(nil)
