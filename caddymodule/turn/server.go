package turn

import (
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	goruntime "runtime"
	"sync/atomic"
	"syscall"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/turnserver"
)

// maxSockets bounds the sockets of a UDP port, of which there is one for each core.
const maxSockets = 64

// servers holds the STUN and TURN servers while any config uses them, by what
// their sockets are made from.
var servers = caddy.NewUsagePool()

// server is a running STUN and TURN server.
type server struct {
	*turnserver.Server
	bound []boundListener
	tls   atomic.Pointer[tls.Config] // of the config that runs now
}

type boundListener struct {
	network string // udp, tcp or tls
	addr    netip.AddrPort
}

// Destruct closes the server.
func (s *server) Destruct() error { return s.Close() }

// sockets is what makes the sockets of a server; its JSON is its key.
type sockets struct {
	Listen                      []string
	RelayAddress, RelayAddress6 string
	RelayBind, RelayBind6       string
	RelayPorts, Realm           string
}

func (s sockets) key() (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

// open makes the server and its sockets.
func (s sockets) open(p turnserver.Policy, tlsConfig *tls.Config, logger *zap.Logger, usage *Usage) (*server, error) {
	cfg := turnserver.Config{Realm: s.Realm, Policy: p, Logger: logger, OnUsage: usage.used}
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
	ts, err := turnserver.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("turn: %w", err)
	}
	out := &server{Server: ts}
	out.tls.Store(tlsConfig)
	for _, l := range s.Listen {
		if err := out.listen(l); err != nil {
			return nil, errors.Join(err, ts.Close())
		}
	}
	return out, nil
}

func (s *server) listen(l string) error {
	network, hostport, err := ParseListen(l)
	if err != nil {
		return err
	}
	var addr net.Addr
	switch network {
	case "udp":
		addr, err = s.ListenUDP(hostport, min(goruntime.GOMAXPROCS(0), maxSockets))
	case "tcp":
		addr, err = s.ListenTCP(hostport)
	case "tls":
		addr, err = s.ListenTLS(hostport, s.tls.Load)
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
	s.bound = append(s.bound, boundListener{network, ap})
	return nil
}

var _ caddy.Destructor = (*server)(nil)
