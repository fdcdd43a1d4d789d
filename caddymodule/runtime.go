package caddymodule

import (
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/caddymodule/turn"
	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/edge/locator"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// runtimes holds the one runtime while any config uses it, so that a reload
// finds sessions and swarms as they were.
var runtimes = caddy.NewUsagePool()

// runtimeKey is the key in runtimes. It is constant: nothing that a config can
// change makes another runtime.
const runtimeKey = "mesh"

// runtime is what outlives a reload: the edge, and which config counts for it.
type runtime struct {
	edge       *edge.Edge
	log        *currentLog
	logger     *zap.Logger // over log
	secret     atomic.Pointer[[]byte]
	secretLost atomic.Bool // secret is none of the storage's
	relayUsage *turn.Usage
	// provisioned is the config that was provisioned last; it counts while none has
	// started.
	provisioned atomic.Pointer[App]
	current     atomic.Pointer[App]

	mu      sync.Mutex
	started []*App // configs that run, the current one last
}

func newRuntime(logger *zap.Logger, secret []byte, digests, history string) (*runtime, error) {
	log := newCurrentLog(logger)
	rt := &runtime{log: log, logger: zap.New(log).Named("mesh")}
	rt.secret.Store(&secret)
	var err error
	rt.edge, err = edge.New(edge.Config{
		Secret: secret, Digests: digests, History: history, Keys: rt.keys, ICEServers: rt.iceServers, RelayShare: rt.relayShare, Current: rt.policyOf, Locate: rt.locate, Log: rt.logger,
		Server: edge.Server{
			ClientAddr: clientAddr, HTTPS: isHTTPS, URL: originalURL, Slice: bodySlice, Direct: direct, Prepare: prepare,
		},
	})
	if err != nil {
		return nil, err
	}
	rt.relayUsage = turn.NewUsage(rt.edge.Relayed)
	return rt, nil
}

// Destruct ends all sessions: no config uses the mesh any more.
func (rt *runtime) Destruct() error {
	rt.edge.Close()
	return nil
}

// publish makes a config that has started the current one.
func (rt *runtime) publish(a *App) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.started = append(rt.started, a)
	rt.setCurrent()
}

// withdraw takes a config back: an old one after a reload, or a new one that did
// not start; then the one before is current again.
func (rt *runtime) withdraw(a *App) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for i, p := range rt.started {
		if p == a {
			rt.started = append(rt.started[:i:i], rt.started[i+1:]...)
			break
		}
	}
	rt.setCurrent()
}

func (rt *runtime) setCurrent() {
	var a *App
	if n := len(rt.started); n > 0 {
		a = rt.started[n-1]
	}
	if rt.current.Swap(a) != a && a != nil {
		rt.log.logger.Store(a.logger)
		a.relay.Apply()
	}
}

// app returns the config that counts now.
func (rt *runtime) app() *App {
	if a := rt.current.Load(); a != nil {
		return a
	}
	return rt.provisioned.Load()
}

func (rt *runtime) keys() *tokens.Keyring { return rt.app().keys.Load() }

func (rt *runtime) iceServers(r edge.ICERequest) []signal.ICEServer {
	return rt.app().relay.ICEServers(turn.KnownAs(r.KnownAs), r.Peer.String(), r.Swarm, r.Expires)
}

func (rt *runtime) locate(r *http.Request, addr netip.Addr) locator.Place {
	return rt.app().locate.Locate(r, addr)
}

func (rt *runtime) relayShare() int64 { return rt.app().relay.Share() }

// policyOf returns the policy of a site of the config that runs now. While none
// runs, nothing can be told.
func (rt *runtime) policyOf(at edge.KnownAs, path string) (p *edge.Policy, known bool) {
	if a := rt.current.Load(); a != nil {
		return a.policyOf(at, path), true
	}
	return nil, false
}

// clientAddr returns the viewer's address as Caddy knows it (trusted proxies
// considered).
func clientAddr(r *http.Request) netip.Addr {
	if s, _ := caddyhttp.GetVar(r.Context(), caddyhttp.ClientIPVarKey).(string); s != "" {
		return edge.Addr(s)
	}
	return edge.Addr(r.RemoteAddr)
}

// isHTTPS reports whether the viewer's TLS ends here, or at a trusted proxy that
// says so.
func isHTTPS(r *http.Request) bool {
	if r.TLS != nil {
		return true
	}
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	return trusted && strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// originalURL returns the URL as the viewer asked for it, before any rewrite.
func originalURL(r *http.Request) *url.URL {
	if or, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && or.URL != nil {
		return or.URL
	}
	return r.URL
}

// prepare gives a request of the edge's own the context that Caddy's handlers
// expect: placeholders of its own, and the variables, such as root, that handlers
// before have set for the viewer's.
func prepare(r *http.Request, w http.ResponseWriter) *http.Request {
	server, ok := r.Context().Value(caddyhttp.ServerCtxKey).(*caddyhttp.Server)
	if !ok {
		return r
	}
	set, _ := r.Context().Value(caddyhttp.VarsCtxKey).(map[string]any)
	r = caddyhttp.PrepareRequest(r, caddy.NewReplacer(), w, server)
	for name, value := range set {
		caddyhttp.SetVar(r.Context(), name, value)
	}
	return r
}

// bodySlice returns the size of the slices into which Caddy's idle timeouts split
// a body, 0 for none.
func bodySlice(r *http.Request) int64 {
	_, idle := caddyhttp.IdleTimeoutsFromContext(r.Context())
	switch {
	case idle == nil:
		return 0
	case idle.MaxChunk > 0:
		return int64(idle.MaxChunk)
	}
	return caddyhttp.DefaultMaxWriteChunk
}

// direct returns the recorder of the access log below w, or else the server's own
// writer: what stands above may change a header late, such as header with defer.
func direct(w http.ResponseWriter) http.ResponseWriter {
	lowest := w
	for {
		u, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			break
		}
		if _, records := w.(caddyhttp.ResponseRecorder); records {
			lowest = w
		}
		w = u.Unwrap()
	}
	if _, records := lowest.(caddyhttp.ResponseRecorder); records {
		return lowest
	}
	return w
}

var _ caddy.Destructor = (*runtime)(nil)
