package admission

import (
	"errors"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/insight"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// The values of Policy.Share.
const (
	ShareAll           = "all"
	ShareEncryptedOnly = "encrypted_only"
	ShareNone          = "none"
)

// The values of Policy.Ads.
const (
	AdsOriginOnly = "origin_only"
	AdsShare      = "share"
)

// The values of ViewerTokens.Enforce.
const (
	EnforceRequire = "require"
	EnforceObserve = "observe"
	EnforceOff     = "off"
)

// The values of Policy.Tracker.
const (
	TrackerOn     = "on"
	TrackerStrict = "strict"
	TrackerOff    = "off"
)

// The values of Policy.Overload.
const (
	OverloadRefuse  = "refuse"
	OverloadDegrade = "degrade"
	OverloadPass    = "pass"
)

// Policy is what the configuration of a site allows. Default sets the defaults of
// fields that are zero; a policy must not be changed once it is in use.
type Policy struct {
	// Path is the prefix of the mesh's endpoints, as the viewer sees it. Default:
	// /mesh.
	Path string
	// Share says which of the listed segments may travel between viewers: ShareAll,
	// ShareEncryptedOnly (those that an EXT-X-KEY other than NONE covers, or
	// ContentProtection in an MPD), or ShareNone. Default: ShareAll.
	Share string
	// Exclude reports whether a request is for a segment that must not be shared;
	// nil excludes none.
	Exclude func(*http.Request) bool
	// ViewerParams are the names of query parameters that are the viewer's, such as a
	// session id, as they stand in URLs: the bytes do not depend on them. Others are
	// part of what a URL names, until three viewers have got the same bytes with three
	// values of one for each of three resources.
	ViewerParams []string
	// ViewerPath is a regular expression for what is the viewer's in paths, such as
	// "^/session/[^/]+" (see manifest.ParseViewerPath). Its first match is no part of
	// what a URL names. Default: nothing.
	ViewerPath string
	// Tokens says which viewers are entitled to manifests, segments and sessions;
	// nil: all are.
	Tokens *ViewerTokens
	// Ads says whether segments of advertisements may travel: AdsShare or
	// AdsOriginOnly. Default: they may until two viewers have got different ones.
	Ads string
	// UploadLimit bounds what one viewer gives to others, in bytes a second. Zero:
	// the viewer's own measure.
	UploadLimit int64
	// UploadRatio bounds what one viewer gives as a share of what it received; 1 is
	// as much. Zero: no such bound.
	UploadRatio float64
	// Neighbors is how many peers a viewer is connected to at once, at most. Zero:
	// the viewer's own measure.
	Neighbors int
	// MaxTold is how many other viewers one session learns of in an hour, at most,
	// and how many learn of it. Zero: the tracker's default, 400.
	MaxTold int
	// Hosts are names that this edge has one thing under, such as "video.example.com" and
	// "v6.example.com", with the port if it is not the default. What is asked for under
	// one of them is what it is under the first, so that viewers of all of them share
	// swarms. Empty: each name is a site of its own.
	Hosts []string
	// Sites are sets of networks that count as one place each. None: viewers share a place if
	// they share a public address (a /64 for IPv6).
	Sites Sites
	// SiteIDs says where viewers' sites are named, beside their networks. Default: nowhere.
	SiteIDs SiteIDs
	// Rules say who takes part, and who gives; the first that is about a viewer counts. None:
	// everybody takes part.
	Rules []Rule
	// Control is the share of viewers, 0 to 1, that are a control group: they meet nobody, play
	// from the origin, and report. It is the same viewers each time, and those of a smaller
	// share are among those of a larger one. Default: 0.
	Control float64
	// Monitor has all viewers be the control group, whatever share was set.
	Monitor bool
	// MinViewers is the number of viewers of a swarm from which they are introduced to each
	// other; below half of it they are not any more. Default: 0, always.
	MinViewers int
	// SameASNOnly and SameCountryOnly have viewers meet only those of their own network or
	// country; those of whom it is unknown meet those of their own address.
	SameASNOnly, SameCountryOnly bool
	// Origins are the origins, such as "https://www.example.com", of pages on other
	// hosts that may use the mesh; "https://*.example.com" is every host below that
	// one, "*" is any, without the viewer's cookies. Pages of
	// the same host always may.
	Origins []string
	// RelayOnly makes viewers connect over the relay only, so that they do not learn
	// each other's addresses.
	RelayOnly bool
	// Tracker says for what streams clients that exist already, such as p2p-media-loader, are
	// introduced to each other (GET Path/tracker): TrackerOn, for whatever they name;
	// TrackerStrict, for those whose manifest this edge has served; or TrackerOff. They know
	// no statements, share what they like, and tell each other their addresses: where Share is
	// ShareNone or RelayOnly is set, there is no tracker. Where Tokens are required, it is
	// strict. Default: TrackerOn.
	Tracker string
	// SessionTTL is how long a pass is valid, 30s to 24h; it is renewed over
	// signaling. Default: 10m.
	SessionTTL time.Duration
	// AnnounceInterval is how often a peer asks for others, 1s to 2m. Default: 1m.
	AnnounceInterval time.Duration
	// ReportInterval is how often a peer reports its traffic, 1s to 2m. Default:
	// 10s.
	ReportInterval time.Duration
	// Capacity is how many bytes a second the server can send. Segments of the site then
	// wait for each other, so that what is small goes out at once, and viewers learn how
	// long they wait. Zero: unknown, and nothing waits.
	Capacity int64
	// Overload says what becomes of viewers who come while segments wait for more than 4 s
	// all the same, because peers give too little. With OverloadDegrade what they ask the
	// server for waits for all that others do, so that those who play go on; with
	// OverloadRefuse they get no session either. With OverloadPass they are as others.
	// Default: OverloadPass.
	Overload string
	// Stats answers GET Path/stats with the numbers of the host's swarms, to
	// anybody.
	Stats bool
	// Dashboard says who may read the host's figures: at Path/dashboard, and of the data API
	// below Path/data. nil: nobody, and they are not there.
	Dashboard *insight.Access
	// MaxSessions is the number of sessions of the whole edge from which this site
	// opens no more. Default: 100,000.
	MaxSessions int

	age      uint64 // the newer the higher
	identity manifest.Identity
	sites    *siteTable
}

// ViewerTokens says which viewers are entitled to a site's streams.
type ViewerTokens struct {
	// Enforce says what becomes of a request without a valid token: EnforceRequire
	// refuses it, EnforceObserve counts and logs it and lets it through, EnforceOff
	// looks at no token. Default: EnforceRequire.
	Enforce string
	// Verifier checks the tokens. Required.
	Verifier tokens.Viewer
}

// Default sets the defaults of fields that are zero.
func (p *Policy) Default() {
	def := func(s *string, v string) {
		if *s == "" {
			*s = v
		}
	}
	every := func(d *time.Duration, v time.Duration) {
		if *d == 0 {
			*d = v
		}
	}
	def(&p.Path, "/mesh")
	def(&p.Share, ShareAll)
	def(&p.Tracker, TrackerOn)
	def(&p.Overload, OverloadPass)
	if p.Tokens != nil {
		def(&p.Tokens.Enforce, EnforceRequire)
	}
	every(&p.SessionTTL, 10*time.Minute)
	every(&p.AnnounceInterval, time.Minute)
	every(&p.ReportInterval, 10*time.Second)
	if p.MaxSessions == 0 {
		p.MaxSessions = 100_000
	}
	p.sites = newSiteTable(p.Sites)
	p.identity = manifest.Identity{Params: p.ViewerParams}
	if names := p.tokenNames(); len(names) > 0 {
		p.identity.Cut = func(uri string) string {
			_, without := tokens.CutURI(uri, names)
			return without
		}
	}
	if p.ViewerPath != "" {
		p.identity.Path, _ = manifest.ParseViewerPath(p.ViewerPath) // Validate returns the error
	}
}

// Validate returns what is wrong with a policy whose defaults are set.
func (p *Policy) Validate() error {
	switch {
	case !strings.HasPrefix(p.Path, "/") || path.Clean(p.Path) != p.Path || p.Path == "/" || !tokens.CoversPath("/", p.Path):
		return fmt.Errorf("path %q: write an absolute path without slash at the end, such as /mesh", p.Path)
	case p.Share != ShareAll && p.Share != ShareEncryptedOnly && p.Share != ShareNone:
		return fmt.Errorf("share %q: write all, encrypted_only or none", p.Share)
	case p.Ads != "" && p.Ads != AdsOriginOnly && p.Ads != AdsShare:
		return fmt.Errorf("ads %q: write origin_only or share", p.Ads)
	case p.Tracker != TrackerOn && p.Tracker != TrackerStrict && p.Tracker != TrackerOff:
		return fmt.Errorf("tracker %q: write on, strict or off", p.Tracker)
	case p.Overload != OverloadRefuse && p.Overload != OverloadDegrade && p.Overload != OverloadPass:
		return fmt.Errorf("overload %q: write refuse, degrade or pass", p.Overload)
	case p.Overload != OverloadPass && p.Capacity <= 0:
		return fmt.Errorf("overload %s needs capacity: write what the server can send in a second, such as capacity 100MiB", p.Overload)
	case p.Capacity < 0 || p.UploadLimit < 0 || p.UploadRatio < 0 || p.Neighbors < 0 || p.MaxTold < 0 || p.MaxSessions < 0:
		return errors.New("capacity, upload_limit, upload_ratio, neighbors, max_told and max_sessions cannot be negative")
	case p.SessionTTL < 30*time.Second || p.SessionTTL > 24*time.Hour:
		return fmt.Errorf("session_ttl %s: write 30s to 24h", p.SessionTTL)
	case p.AnnounceInterval < time.Second || p.AnnounceInterval > 2*time.Minute:
		return fmt.Errorf("announce_interval %s: write 1s to 2m", p.AnnounceInterval)
	case p.ReportInterval < time.Second || p.ReportInterval > 2*time.Minute:
		return fmt.Errorf("report_interval %s: write 1s to 2m", p.ReportInterval)
	}
	if t := p.Tokens; t != nil {
		switch {
		case t.Enforce != EnforceRequire && t.Enforce != EnforceObserve && t.Enforce != EnforceOff:
			return fmt.Errorf("token enforce %q: write require, observe or off", t.Enforce)
		case t.Verifier == nil:
			return errors.New("token has no verifier: name a format, such as urisigning or jwt")
		}
	}
	for _, o := range p.Origins {
		if err := ValidOrigin(o); err != nil {
			return err
		}
	}
	if len(p.Hosts) == 1 {
		return fmt.Errorf("hosts %q: write two names or more, the one that counts first", p.Hosts[0])
	}
	for _, h := range p.Hosts {
		if err := ValidHost(h); err != nil {
			return err
		}
	}
	if err := p.Sites.validate(p.SiteIDs.Claim || p.SiteIDs.Page || p.SiteIDs.Request != nil); err != nil {
		return err
	}
	for i := range p.Rules {
		if err := p.Rules[i].validate(); err != nil {
			return err
		}
	}
	if !(p.Control >= 0 && p.Control <= 1) || p.MinViewers < 0 {
		return errors.New("the control group is a share of 0 to 1, and min_viewers cannot be negative")
	}
	if p.SiteIDs.Claim && p.Tokens == nil {
		return errors.New("site_id claim needs viewer tokens: configure token")
	}
	for _, name := range p.ViewerParams {
		if name == "" || strings.ContainsAny(name, " &=#?") || catalog.ValidBootstrap("", name) != nil {
			return fmt.Errorf("viewer_params %q: write names as they stand in URLs, such as sid", name)
		}
	}
	if p.ViewerPath != "" {
		if _, err := manifest.ParseViewerPath(p.ViewerPath); err != nil {
			return fmt.Errorf("viewer_path %q: %w", p.ViewerPath, err)
		}
	}
	return nil
}

// CanonicalHost returns the host that a request for host is taken to be for: the first of
// Hosts for any of them, else the host itself. It is in lower case, without the default port.
func (p *Policy) CanonicalHost(host string, https bool) string {
	host = manifest.CanonicalHost(host, https)
	if slices.ContainsFunc(p.Hosts, func(h string) bool { return manifest.CanonicalHost(h, https) == host }) {
		return manifest.CanonicalHost(p.Hosts[0], https)
	}
	return host
}

// Identity returns what of the site's URLs is the viewer's. It must not be changed.
func (p *Policy) Identity() *manifest.Identity { return &p.identity }

// Tracks reports whether there is a tracker for clients that exist already.
func (p *Policy) Tracks() bool {
	return p.Tracker != TrackerOff && p.Share != ShareNone && !p.RelayOnly
}

// TracksServed reports whether that tracker is for streams alone that this edge has served.
func (p *Policy) TracksServed() bool { return p.Tracker == TrackerStrict || p.required() }

// Enforced reports whether viewer tokens are looked at.
func (p *Policy) Enforced() bool { return p.Tokens != nil && p.Tokens.Enforce != EnforceOff }

// required reports whether sessions need a viewer token.
func (p *Policy) required() bool { return p.Tokens != nil && p.Tokens.Enforce == EnforceRequire }

// TokenNames returns the names of viewer tokens in URLs, with spaces between, ""
// for none. Viewers take them out to know which of their segments are the same.
func (p *Policy) TokenNames() string { return strings.Join(p.tokenNames(), " ") }

func (p *Policy) tokenNames() []string {
	if !p.Enforced() || p.Tokens.Verifier == nil {
		return nil
	}
	return p.Tokens.Verifier.Parameters()
}

// Shares reports whether a listed resource, or a range of it, may be shared. r is
// a request for it, for Exclude to look at.
func (p *Policy) Shares(r *http.Request, l *catalog.Listed, which catalog.Range) bool {
	encrypted, ok := l.Ranges[which]
	switch {
	case !ok, l.Withheld(), p.Share == ShareNone, l.Presentation.Stopped():
		return false
	case p.Share == ShareEncryptedOnly && !encrypted, l.Ad && !p.sharesAds(l.Presentation):
		return false
	}
	return p.Exclude == nil || !p.Exclude(r)
}

// sharesAds reports whether ads of a presentation may travel: as the operator
// says, or else as long as all viewers got the same.
func (p *Policy) sharesAds(of *catalog.Presentation) bool {
	switch p.Ads {
	case AdsOriginOnly:
		return false
	case AdsShare:
		return true
	}
	return !of.AdsDiffer()
}

// limits returns the limits of a session.
func (p *Policy) limits(receiveOnly bool) signal.Limits {
	return signal.Limits{Neighbors: p.Neighbors, UploadBPS: 8 * p.UploadLimit, UploadRatio: p.UploadRatio, ReceiveOnly: receiveOnly}
}
