package admission

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/locator"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
	"github.com/viewmesh/viewmesh/tokens"
)

const (
	// maxTried is how many playlists of a presentation a viewer token is checked
	// against.
	maxTried = 8
	// leastSession is the shortest session worth opening.
	leastSession = 15 * time.Second
)

// Config is what a Control needs of the edge around it. All fields but Current and Locate
// are required.
type Config struct {
	Log     *zap.Logger
	Now     func() time.Time
	Server  Server
	Catalog *catalog.Catalog
	// Secret seals what passes carry for the edge.
	Secret []byte
	// Keys returns the keys that sign passes now.
	Keys func() *tokens.Keyring
	// ICEServers returns the STUN and TURN servers of a session.
	ICEServers func(ICERequest) []signal.ICEServer
	// RelayShare returns how many bytes a second a viewer whose session begins now is to
	// take over the relay at most; 0 is no bound.
	RelayShare func() int64
	// Current returns the policy that the configuration has now where viewers know
	// the edge so, by Policy.Path; nil if the mesh is not there any more. known is
	// false if that cannot be told. Default: it never can.
	Current func(at KnownAs, path string) (p *Policy, known bool)
	// Locate returns where the sender of a request is. Default: nobody knows.
	Locate func(r *http.Request, addr netip.Addr) locator.Place
}

// ICERequest says for which session ICE servers are wanted.
type ICERequest struct {
	KnownAs
	Peer    wire.PeerID
	Swarm   string
	Expires time.Time // of the session's pass
}

// Control opens sessions and renews their passes. It is safe for concurrent use.
type Control struct {
	Config
	checker  *checker
	gate     Gate
	limiter  sourceLimiter
	refusals refusals
	bans     bans
	policies policies
	ramps    Ramps
	seal     seal
	adopted  atomic.Uint64
}

// NewControl makes a Control.
func NewControl(c Config) *Control {
	if c.Current == nil {
		c.Current = func(KnownAs, string) (*Policy, bool) { return nil, false }
	}
	if c.Locate == nil {
		c.Locate = func(*http.Request, netip.Addr) locator.Place { return locator.Place{} }
	}
	check := &checker{server: c.Server, log: c.Log, now: c.Now}
	return &Control{Config: c, checker: check, seal: newSeal(c.Secret), gate: Gate{checker: check, catalog: c.Catalog}}
}

// Adopt makes a policy newer than all before it. It is called once, before the
// policy is in use.
func (c *Control) Adopt(p *Policy) { p.age = c.adopted.Add(1) }

// Gate returns the gate that checks the viewer tokens of requests.
func (c *Control) Gate() *Gate { return &c.gate }

// Ramps returns the shares that are set while the server runs.
func (c *Control) Ramps() *Ramps { return &c.ramps }

// Verdicts returns what viewer tokens came to so far.
func (c *Control) Verdicts() []Verdict { return c.checker.verdicts.list() }

// Allow counts a session request, or a signaling WebSocket, against its source
// address. Where that has opened too many, wait is the time until the next one. A
// request without address, from a unix socket, is not counted: it may be anybody's.
func (c *Control) Allow(r *http.Request) (wait time.Duration, ok bool) {
	addr, now := c.Server.ClientAddr(r), c.Now()
	if !addr.IsValid() {
		c.refusals.noAddress(c.Log)
		return 0, true
	}
	wait, sources, ok := c.limiter.allow(sourceOf(addr), now)
	if !ok {
		c.refusals.add(c.Log, sources, now)
	}
	return wait, ok
}

// Limited returns the number of requests that Allow has refused.
func (c *Control) Limited() int64 { return c.refusals.total() }

// Ban bans the viewer of a member.
func (c *Control) Ban(m *Member) { c.bans.add(m.viewer, m.source, c.Now()) }

// Open admits a viewer to the swarm of a presentation: it makes the identity and
// the configuration of one viewer. The renewal, if any, goes out with the answer.
// The error wraps a *tokens.Refusal for a viewer who is not entitled, is ErrBanned for one who
// was banned, and ErrOutside for one whom the policy keeps out.
func (c *Control) Open(r *http.Request, p *Policy, to *catalog.Presentation, req *signal.SessionRequest) (*signal.SessionAnswer, *tokens.Renewal, error) {
	now := c.Now()
	e, renewal, err := c.entitle(r, p, to, req.Token)
	if err != nil {
		return nil, nil, err
	}
	if c.bans.refuses(e.viewer, now) {
		return nil, nil, ErrBanned
	}
	on := c.Connection(r, p)
	basis := basis{device: device{Kind: req.Device.Kind, Connection: req.Device.Connection}, site: siteID{Name: e.site}}
	if e.site == "" && isSiteName(req.Site) {
		basis.site = siteID{Name: req.Site, Page: true}
	}
	stands := stand(p, &c.ramps, viewing{&on, basis.device, basis.site, e.viewer, to.Path})
	if stands.part == outside {
		return nil, nil, ErrOutside
	}
	receiveOnly := stands.part == takes || req.Mode == "receive_only" || c.bans.silences(e.viewer, on.source, now)
	peer, err := newPeerID()
	if err != nil {
		return nil, nil, err
	}
	scope := c.scopeOf(to, e)
	expires := earlier(now.Add(p.SessionTTL), e.until)
	switch {
	case len(scope) == 0:
		refused := &tokens.Refusal{Reason: tokens.ReasonScope, Status: http.StatusForbidden,
			Detail: "a pass reaches no further than its token, and no directory of segments is wholly within it; play from the origin"}
		c.checker.note(checked{refused: refused}, p.Tokens, "session")
		return nil, nil, refused
	case expires.Sub(now) < leastSession:
		return nil, nil, &tokens.Refusal{Reason: tokens.ReasonExpired, Status: http.StatusServiceUnavailable,
			Detail: "the token expires too soon for a session; come again with a new one"}
	}
	if p.required() {
		basis.entitled = &e
	}
	standing, err := c.seal.close(basis, peer.String())
	if err != nil {
		return nil, nil, fmt.Errorf("seal a standing: %w", err)
	}
	keys := c.Keys()
	pass, err := keys.SignPass(tokens.Pass{
		Peer: peer.String(), Swarm: req.Swarm, Scope: scope, ReceiveOnly: receiveOnly, Key: req.Key, Standing: standing, Issued: now, Expires: expires,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("sign a pass: %w", err)
	}
	public, err := keys.Public()
	if err != nil {
		return nil, nil, fmt.Errorf("publish the keys: %w", err)
	}
	c.policies.set(on.Host, p)
	limits := p.limits(receiveOnly)
	limits.RelayBPS = 8 * c.RelayShare()
	servers := c.ICEServers(ICERequest{on.KnownAs, peer, req.Swarm, expires})
	if stands.confined {
		servers = withoutRelay(servers)
	}
	return &signal.SessionAnswer{
		V: 1, Peer: peer, Pass: pass, ExpiresMS: expires.Sub(now).Milliseconds(), Keys: public,
		ICEServers: servers, RelayOnly: p.RelayOnly,
		Signal: p.Path + "/signal", Segment: p.Path + "/segment", Limits: limits,
		AnnounceMS: p.AnnounceInterval.Milliseconds(), ReportMS: p.ReportInterval.Milliseconds(),
	}, renewal, nil
}

// Entitled checks the viewer token of a request for what the edge states of u, a URL of the
// site as the viewer writes it, with the token where that is in URLs. refused is nil if the
// viewer may have the statement. A one-time token is refused, as for a session.
func (c *Control) Entitled(r *http.Request, p *Policy, u *url.URL) (refused *tokens.Refusal, err error) {
	if !p.required() {
		return nil, nil
	}
	a, err := c.checker.checkSession(r, p.Tokens, c.Server.absoluteURI(r, u), "")
	if err != nil {
		return nil, err
	}
	c.checker.note(a, p.Tokens, "statement")
	return a.refused, nil
}

// ErrBanned refuses a session to a viewer who was banned.
var ErrBanned = errors.New("sessions of this viewer are refused for a while; play from the origin")

// entitle checks the viewer token of a session request for a presentation: the
// one of the body, or else one in the URL, a header or a cookie. It is checked
// against the playlists of the presentation, one of which the viewer has asked
// for. The error wraps a *tokens.Refusal where there is no session.
func (c *Control) entitle(r *http.Request, p *Policy, to *catalog.Presentation, token string) (entitlement, *tokens.Renewal, error) {
	now := c.Now()
	if !p.Enforced() {
		return everything(now), nil, nil
	}
	var first checked
	for i, n := range c.Catalog.Playlists(to, maxTried) {
		u := &url.URL{RawPath: n.Path, RawQuery: strings.Trim(n.Query+"&"+r.URL.RawQuery, "&")}
		var err error
		if u.Path, err = url.PathUnescape(n.Path); err != nil {
			continue
		}
		a, err := c.checker.checkSession(r, p.Tokens, c.Server.absoluteURI(r, u), token)
		if err != nil {
			return entitlement{}, nil, err
		}
		if i == 0 || a.refused == nil {
			first = a
		}
		if a.refused == nil || a.refused.Reason != tokens.ReasonURI {
			break
		}
	}
	if first.refused == nil && first.entitlement.Grant == nil {
		first.refused = &tokens.Refusal{Reason: tokens.ReasonURI, Status: http.StatusForbidden, Detail: "the token allows no playlist of this presentation"}
	}
	c.checker.note(first, p.Tokens, "session")
	if first.refused != nil {
		if p.Tokens.Enforce == EnforceObserve {
			return everything(now), nil, nil
		}
		return entitlement{}, nil, first.refused
	}
	e := first.entitlement
	out := entitlement{scope: e.Grant.Scope(), until: e.Expires, viewer: viewerOf(e), key: e.Key, site: e.Site}
	if e.Renewal != nil && e.Renewal.Transport == tokens.TransportCookie && e.Renewal.Expires.After(out.until) && !out.until.IsZero() {
		out.until = e.Renewal.Expires
	}
	if limit := now.Add(entitledFor); out.until.IsZero() || out.until.After(limit) {
		out.until = limit
	}
	return out, e.Renewal, nil
}

// Connection is what is known of a signaling connection before its hello.
type Connection struct {
	KnownAs
	Policy *Policy
	host   string     // Policy.CanonicalHost of the request's
	source netip.Addr // for limits and bans; a /64 for IPv6
	prefix string     // the peer's network
	place  locator.Place
	// siteName is the site that the request names (SiteIDs.Request).
	siteName string
}

// Connection returns what is known of the sender of r, who opens signaling.
func (c *Control) Connection(r *http.Request, p *Policy) Connection {
	addr, https := c.Server.ClientAddr(r), c.Server.HTTPS(r)
	on := Connection{
		KnownAs: known(r, https), Policy: p, host: p.CanonicalHost(r.Host, https), source: sourceOf(addr), prefix: prefixOf(addr), place: c.Locate(r, addr),
	}
	if p.SiteIDs.Request != nil {
		on.siteName = p.SiteIDs.Request(r)
	}
	return on
}

// Network returns the network that the connection comes from, a /24 or a /48, or "" if
// that is unknown.
func (c *Connection) Network() string { return c.prefix }

// Member is a peer that has shown its pass.
type Member struct {
	Connection
	Peer         wire.PeerID
	Swarm        string
	Presentation *catalog.Presentation
	ReceiveOnly  bool
	Expires      time.Time // of the pass
	viewer       Viewer    // whom the session's viewer token names

	key      ed25519.PublicKey
	standing string       // as the pass carries it
	based    *entitlement // what the session is based on; nil if the pass does not say
	device   device
	site     siteID
	stands   standing // since its hello
}

// Control reports whether the member is of the control group: it meets nobody.
func (m *Member) Control() bool { return m.stands.part == measured }

// Site returns the name of the member's site, "" for none.
func (m *Member) Site() string { return m.stands.site }

// Account returns who opened the session, if its viewer token names somebody.
func (m *Member) Account() (account Viewer, known bool) { return m.viewer, m.viewer != Viewer{} }

// Near reports whether two members come from one place: they share a public address (a /64
// for IPv6) or a site, or both come from private addresses, because the edge is inside too.
func (c *Control) Near(m, o *Member) bool {
	if !m.source.IsValid() || !o.source.IsValid() {
		return false
	}
	if m.source == o.source || !IsPublic(m.source) && !IsPublic(o.source) {
		return true
	}
	return m.stands.household == o.stands.household
}

// where returns where a member belongs now.
func (c *Control) where(m *Member) (stands standing, there bool) {
	p, there := c.PolicyOf(m)
	return stand(p, &c.ramps, viewing{&m.Connection, m.device, m.site, m.viewer, m.Presentation.Path}), there
}

// Review looks again at where a member belongs, with each announce: a configuration or a ramp
// may have changed. The message ends its session; nil if it goes on.
func (c *Control) Review(m *Member) *signal.Message {
	switch stands, there := c.where(m); {
	case !there:
		return nil // its renewal says so
	case stands.part == outside:
		return errOutside.message()
	case stands != m.stands:
		return anew()
	}
	return nil
}

// bad passes.
var (
	errPass      = refusal{"bad_pass", "the pass is not valid here; open a new session"}
	errSwarm     = refusal{"bad_pass", "the pass is for a swarm that is not here; load the manifest again and open a new session"}
	errPeer      = refusal{"bad_pass", "the pass names no peer of this edge"}
	errNotShared = refusal{"not_shared", "this presentation is not shared; play from the origin"}
	errBanned    = refusal{"banned", ErrBanned.Error()}
	errRefused   = refusal{"refused", "the session is not renewed; play from the origin"}
	errOutside   = refusal{"refused", ErrOutside.Error()}
	errTokenEnds = refusal{"refused", "the viewer token expires; open a new session with a new one"}
)

// refusal is a signaling error by its code and its detail.
type refusal struct{ code, detail string }

func (r refusal) message() *signal.Message {
	return &signal.Message{Type: signal.ErrorMsg, Code: r.code, Detail: r.detail}
}

// NotShared ends the sessions of a presentation whose sharing was stopped.
func NotShared() *signal.Message { return errNotShared.message() }

// Banned ends the session of a peer that was banned.
func Banned() *signal.Message { return errBanned.message() }

// Hello checks the pass that a peer shows first on a connection. The member is nil
// if the connection ends; the message then says why.
func (c *Control) Hello(on Connection, pass string) (*Member, *signal.Message) {
	now := c.Now()
	v, err := c.Keys().Verifier().VerifyPass(pass, now)
	if err != nil {
		return nil, errPass.message()
	}
	m := &Member{
		Connection: on, Swarm: v.Swarm, Presentation: c.Catalog.BySwarm(v.Swarm), ReceiveOnly: v.ReceiveOnly, Expires: v.Expires, key: v.Key,
	}
	switch {
	case m.Presentation == nil || m.Presentation.Host != on.host:
		return nil, errSwarm.message()
	case m.Presentation.Stopped():
		return nil, errNotShared.message()
	case m.Peer.UnmarshalText([]byte(v.Peer)) != nil:
		return nil, errPeer.message()
	}
	if v.Standing != "" {
		b, err := c.seal.open(v.Standing, v.Peer)
		if err != nil {
			return nil, errPass.message()
		}
		m.standing, m.based, m.device, m.site = v.Standing, b.entitled, b.device, b.site
		if b.entitled != nil {
			m.viewer = b.entitled.viewer
		}
	}
	if c.bans.refuses(m.viewer, now) {
		return nil, errBanned.message()
	}
	if m.stands, _ = c.where(m); m.stands.part == outside {
		return nil, errOutside.message()
	}
	return m, nil
}

// Renew returns a new pass and new credentials for a member, and when they expire;
// ok is false if the session ends, and the message then says why.
func (c *Control) Renew(m *Member) (answer *signal.Message, expires time.Time, ok bool) {
	now := c.Now()
	if c.bans.refuses(m.viewer, now) {
		return errRefused.message(), expires, false
	}
	e, found := c.standing(m, now)
	scope := c.scopeOf(m.Presentation, e)
	p, there := c.PolicyOf(m)
	if found && m.based != nil && p.required() {
		if trusted, known := p.Tokens.Verifier.Trusts(context.Background(), e.key); known && !trusted {
			return errTokenEnds.message(), expires, false
		}
	}
	if !there || p.Share == ShareNone {
		return errNotShared.message(), expires, false
	}
	expires = earlier(now.Add(p.SessionTTL), e.until)
	if !found || len(scope) == 0 || expires.Sub(now) < leastSession {
		return errTokenEnds.message(), expires, false
	}
	pass, err := c.Keys().SignPass(tokens.Pass{
		Peer: m.Peer.String(), Swarm: m.Swarm, Scope: scope, ReceiveOnly: m.ReceiveOnly, Key: m.key, Standing: m.standing, Issued: now, Expires: expires,
	})
	if err != nil {
		c.Log.Error("a pass could not be signed", zap.Error(err))
		return errRefused.message(), expires, false
	}
	servers := c.ICEServers(ICERequest{m.KnownAs, m.Peer, m.Swarm, expires})
	if m.stands.confined {
		servers = withoutRelay(servers)
	}
	return &signal.Message{Type: signal.Pass, Pass: pass, ExpiresMS: expires.Sub(now).Milliseconds(), ICEServers: servers}, expires, true
}

// PolicyOf returns the policy that counts for a member now; there is false if its
// site has no mesh any more, and the policy is the last one.
func (c *Control) PolicyOf(m *Member) (p *Policy, there bool) { return c.policyAt(&m.Connection) }

func (c *Control) policyAt(on *Connection) (p *Policy, there bool) {
	if p, known := c.Current(on.KnownAs, on.Policy.Path); known && p != nil {
		return p, true
	} else if known {
		return on.Policy, false
	}
	return c.policies.of(on.Host, on.Policy), true
}

// standing returns what the session of a member is based on. A session of a site
// without viewer tokens has no entry and needs none.
func (c *Control) standing(m *Member, now time.Time) (e entitlement, ok bool) {
	if m.based != nil {
		return *m.based, now.Before(m.based.until)
	}
	p, _ := c.PolicyOf(m)
	return everything(now), !p.required()
}

// scopeOf returns what a pass for a presentation covers: what the token allows,
// wherever the presentation goes on to list its segments. It is empty if nothing of
// the presentation can be among it.
func (c *Control) scopeOf(to *catalog.Presentation, e entitlement) []string {
	out := slices.DeleteFunc(slices.Clone(e.scope), func(s string) bool { return c.Catalog.IsPlaylist(to, s) })
	if len(intersect(c.Catalog.Scopes(to), out)) == 0 {
		return nil
	}
	return out
}

// maxPolicies bounds the memory of policies by host.
const maxPolicies = 1024

// policies remembers the policy of each host and Policy.Path that sessions were
// opened at, so that a renewal follows a newer one where Config.Current cannot tell.
type policies struct {
	mu     sync.Mutex
	byHost map[site]*Policy
}

// site names the mesh of a host by its Policy.Path.
type site struct{ host, path string }

// set remembers p, unless a newer one is known: for a while after a reload the
// server before still answers.
func (ps *policies) set(host string, p *Policy) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	at := site{host, p.Path}
	if known := ps.byHost[at]; known != nil && known.age > p.age {
		return
	}
	if ps.byHost == nil || (len(ps.byHost) >= maxPolicies && ps.byHost[at] == nil) {
		ps.byHost = map[site]*Policy{}
	}
	ps.byHost[at] = p
}

func (ps *policies) of(host string, fallback *Policy) *Policy {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	if p := ps.byHost[site{host, fallback.Path}]; p != nil {
		return p
	}
	return fallback
}

// newPeerID draws a peer id; zero is none.
func newPeerID() (wire.PeerID, error) {
	for {
		var b [8]byte
		if _, err := rand.Read(b[:]); err != nil {
			return 0, fmt.Errorf("draw a peer id: %w", err)
		}
		if id := binary.BigEndian.Uint64(b[:]); id != 0 {
			return wire.PeerID(id), nil
		}
	}
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
