package caddymodule

import (
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/caddymodule/viewertokens"
	"github.com/viewmesh/viewmesh/edge"
)

func init() { caddy.RegisterModule(&Handler{}) }

// Handler lets the viewers of the HLS streams of a site fetch segments from each
// other. It stands before the handler that serves the streams, file_server or
// reverse_proxy, changes no body, and answers requests below Path itself.
type Handler struct {
	// Path is the prefix of the endpoints, as the viewer sees it. Default: /mesh.
	Path string `json:"path,omitempty"`

	// Share says which of the listed segments may travel between viewers: "all",
	// "encrypted_only" (those that an EXT-X-KEY other than NONE covers, or
	// ContentProtection in an MPD), or "none". Keys, licences and manifests never do, nor what is private, no-store, sets a cookie or
	// varies by cookie or authorization. Default: all.
	Share string `json:"share,omitempty"`

	// ExcludeRaw are matchers of requests for segments that must not be shared.
	// Default: none.
	ExcludeRaw caddyhttp.RawMatcherSets `json:"exclude,omitempty" caddy:"namespace=http.matchers"`

	// ViewerParams are the names of query parameters that are the viewer's, such as a
	// session id, as they stand in URLs: the bytes do not depend on them. Others are part of what a URL
	// names, until three viewers have got the same bytes with three values of one, for
	// each of three segments. Default: none.
	ViewerParams []string `json:"viewer_params,omitempty"`

	// ViewerPath is a regular expression for what is the viewer's in paths, such as
	// "^/session/[^/]+": what it matches first is no part of what a URL names. Browsers
	// read it too, so flags, named groups and classes like [[:alpha:]] are refused.
	// Default: nothing.
	ViewerPath string `json:"viewer_path,omitempty"`

	// Token says which viewers are entitled to manifests, segments and sessions, by
	// the operator's own tokens. Default: none, all are.
	Token *viewertokens.Config `json:"token,omitempty"`

	// Ads says whether segments of advertisements may travel: those between
	// CUE-OUT and CUE-IN, in a DATERANGE of SCTE 35, in the playlists of
	// interstitials, or in a discontinuity with segments of another host. "share" or "origin_only".
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

	// Hosts are names of this edge that are one, such as one for IPv6 and another for
	// IPv4, with the port if it is not the default: their viewers share swarms. The
	// site must answer under each of them with the same. The first is the one that
	// counts, in /mesh/stats, for example. Default: none, each name is by itself.
	Hosts []string `json:"hosts,omitempty"`

	// Sites are sets of networks whose viewers count as being in one place, such as the
	// offices of a company that have several public addresses: they name each other their
	// private addresses, are introduced without the bound on peers of one network, and their
	// bytes stay among them.
	// Default: none, viewers share a place if they share a public address.
	Sites []Site `json:"sites,omitempty"`

	// SitesFile has more sites, as CSV: name, networks with spaces between, mode, and "wan" or
	// nothing. It is read when the configuration is loaded. Default: none.
	SitesFile string `json:"sites_file,omitempty"`

	// SiteIDs say where viewers' sites are named, beside their networks: "claim", the claim
	// siteId of the viewer token; "page", what the page says, which brings nobody into a site
	// that has networks; or a placeholder, such as "{http.request.header.X-Site}", for requests from
	// trusted_proxies. A name that is not among the sites is a site of its own. Default: none.
	SiteIDs []string `json:"site_ids,omitempty"`

	// Rules say who takes part, and who gives: the first that is about a viewer counts.
	// Default: none, everybody takes part.
	Rules []Rule `json:"rules,omitempty"`

	// Ramp is the share of viewers that take part, such as "20%". The others are a control
	// group, whose numbers are kept apart: they report, meet nobody and play from the origin.
	// Which viewers they are stays, by account or else by public address. The admin API's /mesh/ramp goes before it. Default: 100%.
	Ramp string `json:"ramp,omitempty"`

	// Monitor has all viewers be the control group. Default: false.
	Monitor bool `json:"monitor,omitempty"`

	// MinViewers is the number of viewers of a stream from which they are introduced to each
	// other; below half of it they are not any more. Default: 0, always.
	MinViewers int `json:"min_viewers,omitempty"`

	// SameASNOnly has viewers meet only those of their own network (ASN), and
	// SameCountryOnly those of their own country. Both need locators: viewers of whom it is
	// unknown meet those of their own public address. Default: false.
	SameASNOnly     bool `json:"same_asn_only,omitempty"`
	SameCountryOnly bool `json:"same_country_only,omitempty"`

	// Origins are the origins, such as "https://www.example.com", of pages on other
	// hosts that may use the mesh; "https://*.example.com" is every host below that
	// one, "*" is any, without the viewer's cookies. Pages of
	// the same host always may. Default: none.
	Origins []string `json:"origins,omitempty"`

	// RelayOnly has viewers connect over the relay only, so that they do not learn
	// each other's addresses. It needs TURN. Default: false.
	RelayOnly bool `json:"relay_only,omitempty"`

	// Tracker says for what streams clients that exist already, such as p2p-media-loader, are
	// introduced to each other at PATH/tracker: "on", for whatever they name; "strict", for
	// those whose manifest has passed here; or "off". Where a viewer token is required it is
	// strict; where share is none or relay_only is set it is off. Default: on.
	Tracker string `json:"tracker,omitempty"`

	// SessionTTL is how long a pass is good; it is renewed over signaling. Default:
	// 10m.
	SessionTTL caddy.Duration `json:"session_ttl,omitempty"`

	// AnnounceInterval is how often a peer asks for others. Default: 60s.
	AnnounceInterval caddy.Duration `json:"announce_interval,omitempty"`

	// ReportInterval is how often a peer reports its traffic. Default: 10s.
	ReportInterval caddy.Duration `json:"report_interval,omitempty"`

	// Capacity is how many bytes a second the server can send. Segments of this site then
	// wait for each other, so that manifests, sessions and signaling go out at once, and
	// viewers learn how scarce the origin is before they ask it. Default: 0, unknown.
	Capacity int64 `json:"capacity,omitempty"`

	// Overload says what becomes of viewers who come while segments wait for more than 4 s
	// all the same, because viewers give each other too little. "degrade": what they ask
	// the server for waits for all that others do, so that those who play go on; "refuse":
	// they get no session either; "pass": they are as others. The first two need capacity.
	// Default: pass.
	Overload string `json:"overload,omitempty"`

	// Stats answers GET PATH/stats with the numbers of this host's swarms, to
	// anybody. Default: false.
	Stats bool `json:"stats,omitempty"`

	// Dashboard shows the site's figures at PATH/dashboard. Default: none.
	Dashboard *Dashboard `json:"dashboard,omitempty"`

	// MaxSessions is the number of sessions of the whole server from which this
	// site opens no more. Default: 100000.
	MaxSessions int `json:"max_sessions,omitempty"`

	exclude caddyhttp.MatcherSets
	site    *edge.Site
}

// CaddyModule says what this module is.
func (*Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "http.handlers.mesh", New: func() caddy.Module { return new(Handler) }}
}

// Provision loads the guests, finds the app, and makes the site.
func (h *Handler) Provision(ctx caddy.Context) error {
	if err := option.Expand(h); err != nil {
		return err
	}
	app, err := ctx.App("mesh")
	if err != nil {
		return err
	}
	a := app.(*App)
	if h.RelayOnly && a.TURN == nil {
		return errors.New("relay_only needs a relay: configure turn in the global option mesh")
	}
	if located(h) && len(a.locate) == 0 {
		return errors.New("same_asn_only, same_country_only and rules by country or asn need to know where viewers are: configure locator in the global option mesh")
	}
	policy, err := h.policy(ctx)
	if err != nil {
		return err
	}
	if h.site, err = a.rt.edge.Site(policy); err != nil {
		return err
	}
	a.meshes = append(a.meshes, mesh{h, h.site.Policy()})
	return nil
}

// policy returns the edge's policy for this handler.
func (h *Handler) policy(ctx caddy.Context) (edge.Policy, error) {
	p := edge.Policy{
		Path: h.Path, Share: h.Share, Ads: h.Ads, Hosts: h.Hosts, Origins: h.Origins,
		ViewerParams: h.ViewerParams, ViewerPath: h.ViewerPath,
		UploadLimit: h.UploadLimit, UploadRatio: h.UploadRatio, Neighbors: h.Neighbors, MaxTold: h.MaxTold,
		RelayOnly: h.RelayOnly, Tracker: h.Tracker, SessionTTL: time.Duration(h.SessionTTL),
		AnnounceInterval: time.Duration(h.AnnounceInterval), ReportInterval: time.Duration(h.ReportInterval),
		Capacity: h.Capacity, Overload: h.Overload, Stats: h.Stats, MaxSessions: h.MaxSessions,
	}
	if err := steer(h, &p); err != nil {
		return p, err
	}
	if h.ExcludeRaw != nil {
		sets, err := ctx.LoadModule(h, "ExcludeRaw")
		if err != nil {
			return p, fmt.Errorf("load the matchers of exclude: %w", err)
		}
		if err := h.exclude.FromInterface(sets); err != nil {
			return p, fmt.Errorf("load the matchers of exclude: %w", err)
		}
		p.Exclude = h.excludes
	}
	if h.Dashboard != nil {
		var err error
		if p.Dashboard, err = h.Dashboard.access(ctx); err != nil {
			return p, err
		}
	}
	if h.Token != nil {
		var err error
		if p.Tokens, err = h.Token.Provision(ctx); err != nil {
			return p, err
		}
	}
	return p, nil
}

// excludes reports whether a matcher of ExcludeRaw matches a request. What a
// matcher cannot decide is not shared.
func (h *Handler) excludes(r *http.Request) bool {
	excluded, err := h.exclude.AnyMatchWithError(r)
	return err != nil || excluded
}

// ServeHTTP hands a request to the edge, which answers it or calls next.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler) error {
	return h.site.Serve(w, r, next.ServeHTTP)
}

var (
	_ caddy.Module                = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
