package turn

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/proxyprotocol"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/signal"
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
	// ICEServers are STUN and TURN servers of other providers, which viewers are told
	// of behind the own ones.
	ICEServers []signal.ICEServer
	// Secret makes the credentials that ICEServers returns. It stays the same over
	// reloads.
	Secret []byte
	// Logger outlives the config.
	Logger *zap.Logger
	// Usage takes what the relay carries for its users. It outlives the config.
	Usage *Usage
}

// Relay is what one config holds of the STUN and TURN server, which it shares with
// the configs before and after it.
type Relay struct {
	opts      Options
	ctx       caddy.Context
	logger    *zap.Logger
	server    *server // nil where there is none
	pooled    bool
	listeners []string // of the config
	keys      []string // of bound in the server's pool
	// bound are the listeners that are open; none before Start.
	bound atomic.Pointer[[]*bound]
	own   current // what listeners take from this config
	// shared are the ports of this config's HTTPS listeners that serve TURN too.
	shared sync.Map
	share  share
	// sorting are the last listeners that mesh_turn has wrapped, by address.
	sorting sync.Map
}

// Provision checks what a config asks for and registers the metrics. It opens no
// socket: a config may be validated beside a server that runs. Settings and policy of
// the server stay what they are until Apply.
func Provision(ctx caddy.Context, opts Options) (*Relay, error) {
	r := &Relay{opts: opts, ctx: ctx, logger: ctx.Logger()}
	if opts.TURN != nil {
		if err := opts.TURN.validate(); err != nil {
			return nil, err
		}
	}
	for _, s := range opts.ICEServers {
		if err := ValidateICEServer(s); err != nil {
			return nil, err
		}
	}
	r.listeners, _ = r.listen()
	if len(r.listeners) == 0 {
		return r, nil
	}
	for _, l := range r.listeners {
		if _, _, err := ParseListen(l); err != nil {
			return nil, err
		}
	}
	if _, err := policyOf(opts); err != nil {
		return nil, err
	}
	if err := r.provision(); err != nil {
		return nil, errors.Join(err, r.Cleanup())
	}
	return r, nil
}

func (r *Relay) provision() error {
	if err := r.provisionStreams(r.listeners); err != nil {
		return err
	}
	v, loaded, err := servers.LoadOrNew(serverKey, func() (caddy.Destructor, error) { return newServer(r.opts.Logger, r.opts.Usage) })
	if err != nil {
		return err
	}
	r.server, r.pooled = v.(*server), true
	if !loaded {
		// Nobody else has it: what comes before Apply is served as this config wants it.
		r.apply(r.own)
	}
	if err := r.ctx.GetMetricsRegistry().Register(meters{r.server}); err != nil {
		return fmt.Errorf("register metrics of the relay: %w", err)
	}
	return nil
}

// Start opens the sockets that the config asks for, or finds them open. It fails where
// HTTP/3 has the port of a udp listener. All apps are provisioned when it is called.
func (r *Relay) Start() error {
	if r.server == nil {
		return nil
	}
	var all []*bound
	for i, l := range r.listeners {
		b, key, err := r.server.listen(l, i)
		if _, optional := r.listen(); err != nil && optional {
			r.logger.Warn("no STUN server: viewers behind NATs will not find each other; free the port or set the global option mesh { stun ADDRESS }",
				zap.String("listen", defaultSTUN), zap.Error(err))
			continue
		} else if err != nil {
			return err
		}
		all, r.keys = append(all, b), append(r.keys, key)
	}
	r.bound.Store(&all)
	if http := httpApp(r.ctx); http != nil {
		return besideHTTP3(http, all)
	}
	return nil
}

// open returns the listeners that are open.
func (r *Relay) open() []*bound {
	if all := r.bound.Load(); all != nil {
		return *all
	}
	return nil
}

// Apply makes this config's settings, policy and certificates the server's.
func (r *Relay) Apply() {
	if r.server == nil {
		return
	}
	own := r.own
	if own.tls != nil {
		own.tls = siteTLS(r.ctx, own.tls)
	}
	r.apply(own)
}

func (r *Relay) apply(own current) {
	r.server.now.Store(&own)
	settings, err := settingsOf(r.opts.TURN)
	if err == nil {
		err = r.server.SetSettings(settings)
	}
	p, perr := policyOf(r.opts)
	if err = errors.Join(err, perr); err == nil {
		err = r.server.SetPolicy(p)
	}
	if err != nil {
		r.logger.Error("TURN keeps the policy it had", zap.Error(err))
	}
}

// Cleanup gives the listeners and the server back. What no config holds closes, but
// for what is allocated over it. A session that is being opened may still ask for
// ICEServers.
func (r *Relay) Cleanup() error {
	if r == nil || !r.pooled {
		return nil
	}
	r.pooled = false
	var errs []error
	for _, key := range r.keys {
		_, err := r.server.listeners.Delete(key)
		errs = append(errs, err)
	}
	_, err := servers.Delete(serverKey)
	return errors.Join(append(errs, err)...)
}

// listen returns where the config listens; optional reports that it may fail, because
// nobody asked for it.
func (r *Relay) listen() (listen []string, optional bool) {
	if r.opts.STUN != "" && r.opts.STUN != "off" {
		listen = append(listen, r.opts.STUN)
	}
	if t := r.opts.TURN; t != nil {
		asked := t.Listen
		if len(asked) == 0 {
			asked = []string{defaultSTUN, "tcp/:3478"}
		}
		for _, l := range asked {
			if l != r.opts.STUN || strings.HasSuffix(l, ":0") { // the relay answers STUN there anyway
				listen = append(listen, l)
			}
		}
	} else if r.opts.STUN == "" {
		return []string{defaultSTUN}, true
	}
	return listen, false
}

// provisionStreams prepares Caddy's certificates and the PROXY protocol for tcp and tls
// listeners.
func (r *Relay) provisionStreams(listen []string) error {
	if t := r.opts.TURN; t != nil && t.ProxyProtocol != nil {
		w := &proxyprotocol.ListenerWrapper{Timeout: t.ProxyProtocol.Timeout, Allow: prefixes(t.ProxyProtocol.Allow), Deny: prefixes(t.ProxyProtocol.Deny)}
		if err := w.Provision(r.ctx); err != nil {
			return fmt.Errorf("turn proxy_protocol: %w", err)
		}
		r.own.proxy = w
	}
	for _, l := range listen {
		if strings.HasPrefix(l, "tls/") {
			var err error
			r.own.tls, err = ownTLS(r.ctx)
			return err
		}
	}
	return nil
}

// prefixes writes single addresses as prefixes; the list has been validated.
func prefixes(list []string) (out []string) {
	parsed, _ := parsePrefixes("proxy_protocol", list)
	for _, p := range parsed {
		out = append(out, p.String())
	}
	return out
}
