package turn

import (
	"crypto/tls"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
	"go.uber.org/zap"
)

// defaultSTUN is where the STUN server listens unless something else is said.
const defaultSTUN = "udp/:3478"

// Options are what a config of the app asks of its relay.
type Options struct {
	// STUN is the address that the STUN server listens on, "off" for none. Empty is
	// udp/:3478 where that is free, and none where TURN is configured.
	STUN string
	// TURN is the relay, nil for none.
	TURN *Config
	// Secret makes the credentials that ICEServers returns. It stays the same over
	// reloads.
	Secret []byte
	// Logger outlives the config.
	Logger *zap.Logger
	// Usage takes what the relay carries for its users. It outlives the config.
	Usage *Usage
}

// Relay is what one config holds of the STUN and TURN server, which it shares with
// the configs before and after it where they ask for the same sockets.
type Relay struct {
	opts   Options
	logger *zap.Logger
	server *server // nil where there is none
	pooled string  // key of server, empty once it is given back
	tls    *tls.Config
	// shared are the ports of this config's HTTPS listeners that serve TURN too.
	shared sync.Map
}

// Provision opens the sockets that a config asks for, or finds them open, and
// registers the metrics. The server's policy stays what it is until Apply.
func Provision(ctx caddy.Context, opts Options) (*Relay, error) {
	r := &Relay{opts: opts, logger: ctx.Logger()}
	if opts.TURN != nil {
		opts.TURN.replaceSecrets()
		if err := opts.TURN.validate(); err != nil {
			return nil, err
		}
	}
	s, optional := r.sockets()
	if len(s.Listen) == 0 {
		return r, nil
	}
	policy, err := policyOf(r.opts)
	if err != nil {
		return nil, err
	}
	if err := r.provisionTLS(ctx, s.Listen); err != nil {
		return nil, err
	}
	key, err := s.key()
	if err != nil {
		return nil, err
	}
	v, _, err := servers.LoadOrNew(key, func() (caddy.Destructor, error) {
		return s.open(policy, r.tls, opts.Logger, opts.Usage)
	})
	if err != nil {
		if optional {
			r.logger.Warn("no STUN server: viewers behind NATs will not find each other; free the port or set the global option mesh { stun ADDRESS }",
				zap.String("listen", defaultSTUN), zap.Error(err))
			return r, nil
		}
		return nil, err
	}
	r.server, r.pooled = v.(*server), key
	if err := ctx.GetMetricsRegistry().Register(meters{r.server}); err != nil {
		return nil, errors.Join(fmt.Errorf("register metrics of the relay: %w", err), r.Cleanup())
	}
	return r, nil
}

// Apply makes this config's policy and certificates the server's.
func (r *Relay) Apply() {
	if r.server == nil {
		return
	}
	if r.tls != nil {
		r.server.tls.Store(r.tls)
	}
	p, err := policyOf(r.opts)
	if err == nil {
		err = r.server.SetPolicy(p)
	}
	if err != nil {
		r.logger.Error("TURN keeps the policy it had", zap.Error(err))
	}
}

// Cleanup gives the server back. It closes when no config holds it. A session that
// is being opened may still ask for ICEServers.
func (r *Relay) Cleanup() error {
	if r == nil || r.pooled == "" {
		return nil
	}
	key := r.pooled
	r.pooled = ""
	_, err := servers.Delete(key)
	return err
}

// sockets returns what the config asks for; optional reports that it may fail,
// because nobody asked for it.
func (r *Relay) sockets() (s sockets, optional bool) {
	if r.opts.STUN != "" && r.opts.STUN != "off" {
		s.Listen = append(s.Listen, r.opts.STUN)
	}
	if t := r.opts.TURN; t != nil {
		s.RelayAddress, s.RelayAddress6 = t.RelayAddress, t.RelayAddress6
		s.RelayBind, s.RelayBind6 = t.RelayBind, t.RelayBind6
		s.RelayPorts, s.Realm = t.RelayPorts, t.Realm
		listen := t.Listen
		if len(listen) == 0 {
			listen = []string{defaultSTUN, "tcp/:3478"}
		}
		for _, l := range listen {
			if l != r.opts.STUN || strings.HasSuffix(l, ":0") { // the relay answers STUN there anyway
				s.Listen = append(s.Listen, l)
			}
		}
	} else if r.opts.STUN == "" {
		return sockets{Listen: []string{defaultSTUN}}, true
	}
	return s, false
}

// provisionTLS prepares Caddy's certificates for the tls listeners.
func (r *Relay) provisionTLS(ctx caddy.Context, listen []string) error {
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
	r.tls = policies.TLSConfig(ctx)
	return nil
}
