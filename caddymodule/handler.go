package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

func init() { caddy.RegisterModule(&Handler{}) }

// The values of Share.
const (
	ShareAll           = "all"
	ShareEncryptedOnly = "encrypted_only"
	ShareNone          = "none"
)

// Handler lets the viewers of the HLS streams of a site fetch segments from each
// other. It stands before the handler that serves the streams, file_server or
// reverse_proxy, changes no body, and answers requests below Path itself.
type Handler struct {
	// Path is below what the endpoints lie, as the viewer sees it. Default: /mesh.
	Path string `json:"path,omitempty"`

	// Share says which of the listed segments may travel between viewers: "all",
	// "encrypted_only" (those that an EXT-X-KEY other than NONE covers, or
	// ContentProtection in an MPD), or "none". Keys, licences and manifests never do, nor what is private, no-store, sets a cookie or
	// varies by cookie or authorization. Default: all.
	Share string `json:"share,omitempty"`

	// ExcludeRaw are matchers of requests for segments that must not be shared.
	// Default: none.
	ExcludeRaw caddyhttp.RawMatcherSets `json:"exclude,omitempty" caddy:"namespace=http.matchers"`

	// Token says which viewers are entitled to manifests, segments and sessions, by
	// the operator's own tokens. Default: none, all are.
	Token *ViewerTokens `json:"token,omitempty"`

	// Ads says whether segments of advertisements may travel: those between
	// CUE-OUT and CUE-IN, in a DATERANGE of SCTE 35 or of an interstitial, or in a
	// discontinuity with segments of another host. "share" or "origin_only".
	// Default: they may until two viewers have got different ones.
	Ads string `json:"ads,omitempty"`

	// UploadLimit bounds what one viewer gives to others, in bytes a second.
	// Default: 0, the viewer's own measure.
	UploadLimit int64 `json:"upload_limit,omitempty"`

	// UploadRatio bounds what one viewer gives as a share of what it received;
	// 1 is as much. Default: 0, no such bound.
	UploadRatio float64 `json:"upload_ratio,omitempty"`

	// Neighbors is how many peers a viewer is connected to at once, at most.
	// Default: 0, the viewer's own measure.
	Neighbors int `json:"neighbors,omitempty"`

	// MaxTold is how many other viewers one session is told of in an hour, at most,
	// and how many are told of it. What viewers are told of they learn the addresses
	// of, unless relay_only is set. Default: 400.
	MaxTold int `json:"max_told,omitempty"`

	// Origins are the origins, such as "https://www.example.com", of pages on other
	// hosts that may use the mesh; "*" is any, without the viewer's cookies. Pages of
	// the same host always may. Default: none.
	Origins []string `json:"origins,omitempty"`

	// RelayOnly has viewers connect over the relay only, so that they do not learn
	// each other's addresses. It needs TURN. Default: false.
	RelayOnly bool `json:"relay_only,omitempty"`

	// SessionTTL is how long a pass is good; it is renewed over signaling. Default:
	// 10m.
	SessionTTL caddy.Duration `json:"session_ttl,omitempty"`

	// AnnounceInterval is how often a peer asks for others. Default: 60s.
	AnnounceInterval caddy.Duration `json:"announce_interval,omitempty"`

	// ReportInterval is how often a peer reports its traffic. Default: 10s.
	ReportInterval caddy.Duration `json:"report_interval,omitempty"`

	// Stats answers GET PATH/stats with the numbers of this host's swarms, to
	// anybody. Default: false.
	Stats bool `json:"stats,omitempty"`

	// MaxSessions is the number of sessions of the whole server from which this
	// site opens no more. Default: 100000.
	MaxSessions int `json:"max_sessions,omitempty"`

	logger  *zap.Logger
	app     *App
	rt      *runtime
	exclude caddyhttp.MatcherSets
	site    *site
}

// site is what sessions need of a handler. It holds nothing of its config.
type site struct {
	limits                signal.Limits
	maxTold               int // 0: the tracker's default
	relayOnly             bool
	tokens                bool // sessions stand on viewer tokens
	ttl, announce, report time.Duration
}

// CaddyModule says what this module is.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mesh", New: func() caddy.Module { return new(Handler) }}
}

// Provision sets the defaults and finds the app.
func (h *Handler) Provision(ctx caddy.Context) error {
	h.logger = ctx.Logger()
	if h.Path == "" {
		h.Path = "/mesh"
	}
	if h.Share == "" {
		h.Share = ShareAll
	}
	if h.MaxSessions == 0 {
		h.MaxSessions = 100_000
	}
	h.site = &site{
		limits:    signal.Limits{Neighbors: h.Neighbors, UploadBPS: 8 * h.UploadLimit, UploadRatio: h.UploadRatio},
		maxTold:   h.MaxTold,
		relayOnly: h.RelayOnly,
		ttl:       orDefault(h.SessionTTL, 10*time.Minute),
		announce:  orDefault(h.AnnounceInterval, time.Minute),
		report:    orDefault(h.ReportInterval, 10*time.Second),
	}
	if h.Token != nil {
		if err := h.Token.provision(ctx); err != nil {
			return err
		}
		h.site.tokens = h.Token.Enforce == EnforceRequire
	}
	if h.ExcludeRaw != nil {
		sets, err := ctx.LoadModule(h, "ExcludeRaw")
		if err != nil {
			return fmt.Errorf("load the matchers of exclude: %w", err)
		}
		if err := h.exclude.FromInterface(sets); err != nil {
			return fmt.Errorf("load the matchers of exclude: %w", err)
		}
	}
	app, err := ctx.App("mesh")
	if err != nil {
		return err
	}
	h.app = app.(*App)
	h.rt = h.app.rt
	return nil
}

func orDefault(d caddy.Duration, def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}

// Validate says what is wrong with the configuration.
func (h *Handler) Validate() error {
	switch {
	case !strings.HasPrefix(h.Path, "/") || path.Clean(h.Path) != h.Path || h.Path == "/" || !tokens.CoversPath("/", h.Path):
		return fmt.Errorf("path %q: give an absolute path without slash at the end, such as /mesh", h.Path)
	case h.Share != ShareAll && h.Share != ShareEncryptedOnly && h.Share != ShareNone:
		return fmt.Errorf("share %q: give all, encrypted_only or none", h.Share)
	case h.Ads != "" && h.Ads != AdsOriginOnly && h.Ads != AdsShare:
		return fmt.Errorf("ads %q: give origin_only or share", h.Ads)
	case h.UploadLimit < 0 || h.UploadRatio < 0 || h.Neighbors < 0 || h.MaxTold < 0 || h.MaxSessions < 0:
		return errors.New("upload_limit, upload_ratio, neighbors, max_told and max_sessions cannot be negative")
	case h.site.ttl < 30*time.Second || h.site.ttl > 24*time.Hour:
		return fmt.Errorf("session_ttl %s: give 30s to 24h", h.site.ttl)
	case h.site.announce < time.Second || h.site.announce > 2*time.Minute:
		return fmt.Errorf("announce_interval %s: give 1s to 2m", h.site.announce)
	case h.site.report < time.Second || h.site.report > 2*time.Minute:
		return fmt.Errorf("report_interval %s: give 1s to 2m", h.site.report)
	case h.RelayOnly && h.app.TURN == nil:
		return errors.New("relay_only needs a relay: configure turn in the global option mesh")
	}
	if h.Token != nil {
		if err := h.Token.validate(); err != nil {
			return err
		}
	}
	for _, o := range h.Origins {
		if _, ok := parseOrigin(o); !ok && o != "*" {
			return fmt.Errorf("origins %q: give scheme and host, such as https://www.example.com, or *", o)
		}
	}
	_, err := bootstrap(h.Path+"/session", "", h.tokenNames())
	return err
}

// ServeHTTP decides what a request is: one for an endpoint, for what may be a
// manifest, or for a listed segment. All others go on as they are.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	u := originalURL(r)
	host := strings.ToLower(r.Host)
	if rest, ok := strings.CutPrefix(u.Path, h.Path+"/"); ok {
		if handled, err := h.serveEndpoint(w, r, host, rest); handled {
			return err
		}
	}
	if h.enforced() {
		var handled bool
		var err error
		if w, u, handled, err = h.gate(w, r, host, u); handled {
			return err
		}
	}
	switch r.Method {
	case http.MethodGet:
		if l := h.rt.catalog.segment(host, u.EscapedPath()); l != nil {
			return h.serveSegment(w, r, next, l)
		}
	case http.MethodHead:
	default:
		return next.ServeHTTP(w, r)
	}
	if manifest.MayBeManifest(u.Path) {
		return h.serveManifest(w, r, next, host, u)
	}
	return next.ServeHTTP(w, r)
}

// serveEndpoint answers a request below Path; handled is false if there is no
// such endpoint.
func (h *Handler) serveEndpoint(w http.ResponseWriter, r *http.Request, host, name string) (handled bool, err error) {
	endpoint, ok := map[string]struct {
		method string
		serve  func(http.ResponseWriter, *http.Request, string) error
	}{
		"session": {http.MethodPost, h.serveSession},
		"signal":  {http.MethodGet, h.serveSignal},
		"segment": {http.MethodGet, h.serveStatement},
		"stats":   {http.MethodGet, h.serveStats},
	}[name]
	if !ok || (name == "stats" && !h.Stats) {
		return h.serveBrowser(w, r, name)
	}
	if !h.cors(w, r) {
		return true, refuse(w, http.StatusForbidden, "origin", "this Origin is not among the site's origins")
	}
	methods := endpoint.method + ", OPTIONS"
	switch r.Method {
	case endpoint.method:
		return true, endpoint.serve(w, r, host)
	case http.MethodOptions:
		return true, h.preflight(w, methods)
	}
	w.Header().Set("Allow", methods)
	return true, refuse(w, http.StatusMethodNotAllowed, "method", "use "+endpoint.method)
}

// full says whether there are sessions enough.
func (h *Handler) full() bool { return h.rt.connCount.Load() >= int64(h.MaxSessions) }

// varURL is the request's variable that holds originalURL once a viewer token was
// taken out of it.
const varURL = "mesh_url"

// originalURL is the URL as the viewer asked for it, before any rewrite, without
// a viewer token that was good.
func originalURL(r *http.Request) *url.URL {
	if u, ok := caddyhttp.GetVar(r.Context(), varURL).(*url.URL); ok {
		return u
	}
	if or, ok := r.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request); ok && or.URL != nil {
		return or.URL
	}
	return r.URL
}

// maxSites bounds the memory of sites by host.
const maxSites = 1024

// sites remembers the site of each host that sessions were opened at, so that a
// renewal after a reload follows the new config.
type sites struct {
	mu     sync.Mutex
	byHost map[string]*site
}

func (s *sites) set(host string, st *site) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.byHost == nil || (len(s.byHost) >= maxSites && s.byHost[host] == nil) {
		s.byHost = map[string]*site{}
	}
	s.byHost[host] = st
}

func (s *sites) of(host string, fallback *site) *site {
	s.mu.Lock()
	defer s.mu.Unlock()
	if st := s.byHost[host]; st != nil {
		return st
	}
	return fallback
}

var (
	_ caddy.Module                = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddy.Validator             = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
