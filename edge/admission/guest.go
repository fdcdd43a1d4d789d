package admission

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/tokens"
)

// maxTriedGuest is how many playlists of a site a guest's viewer token is checked against.
const maxTriedGuest = 64

// Guest is a client of another kind (Policy.Tracker): it has no session and shows no pass.
type Guest struct {
	Connection
	entitlement
	named string // its site, as the viewer token names it
}

// Account returns whom the guest's viewer token names, if it names somebody.
func (g *Guest) Account() (account Viewer, known bool) { return g.viewer, g.viewer != Viewer{} }

// Site is the host whose swarms the guest may be in.
func (g *Guest) Site() string { return g.host }

// Place names the swarms that the guest may be in: those of the site, or of the part of its
// viewers whom the policy lets the guest meet.
func (g *Guest) Place(p *Policy) string { return join(g.host, stand(p, &Ramps{}, g.viewing()).within) }

func (g *Guest) viewing() viewing {
	return viewing{on: &g.Connection, site: siteID{Name: g.named}, account: g.viewer}
}

// Admit checks the viewer token of a guest, in the URL of its request, a header or a cookie,
// against the playlists of the site. The error wraps a *tokens.Refusal for one who is not
// entitled, is ErrBanned for one who was banned, and ErrOutside for one whom the policy keeps
// out, or would have give nothing, which a guest cannot be held to.
func (c *Control) Admit(r *http.Request, p *Policy) (*Guest, error) {
	g := &Guest{Connection: c.Connection(r, p), entitlement: everything(c.Now())}
	if p.Enforced() {
		a, err := c.checkGuest(r, p, g.host)
		if err != nil {
			return nil, err
		}
		c.checker.note(a, p.Tokens, "tracker")
		switch {
		case a.refused == nil:
			e := a.entitlement
			g.entitlement = entitlement{scope: e.Grant.Scope(), until: e.Expires, viewer: viewerOf(e), key: e.Key}
			g.named = e.Site
		case p.required():
			return nil, a.refused
		}
	}
	c.policies.set(g.Host, p)
	if now := c.Now(); c.bans.refuses(g.viewer, now) || c.bans.silences(g.viewer, g.source, now) {
		return nil, ErrBanned
	}
	if stand(p, &c.ramps, g.viewing()).part != gives {
		return nil, ErrOutside
	}
	return g, nil
}

// checkGuest checks a token against playlists until one is allowed. The session of a guest
// takes no renewal.
func (c *Control) checkGuest(r *http.Request, p *Policy, host string) (checked, error) {
	out := checked{refused: &tokens.Refusal{Reason: tokens.ReasonURI, Status: http.StatusForbidden, Detail: "no manifest of this site has passed here that the token allows"}}
	tried := 0
	of := c.Catalog.Of(host)
	slices.SortFunc(of, func(a, b *catalog.Presentation) int { return strings.Compare(a.Path, b.Path) })
	for _, to := range of {
		for _, n := range c.Catalog.Playlists(to, maxTried) {
			u := &url.URL{RawPath: n.Path, RawQuery: strings.Trim(n.Query+"&"+r.URL.RawQuery, "&")}
			var err error
			if u.Path, err = url.PathUnescape(n.Path); err != nil {
				continue
			}
			a, err := c.checker.checkSession(r, p.Tokens, c.Server.absoluteURI(r, u), "")
			if err != nil || a.refused == nil || a.refused.Reason != tokens.ReasonURI {
				return a, err
			}
			if tried++; tried == maxTriedGuest {
				return out, nil
			}
		}
	}
	return out, nil
}

// Why a guest is refused a swarm.
var (
	errGuestExpired = errors.New("the viewer token has expired: open another connection with a new one")
	errGuestScope   = errors.New("the viewer token does not allow this stream")
	errGuestStopped = errors.New("this stream is not shared: play from the origin")
	errGuestUnknown = errors.New("no manifest has passed here that has this info_hash: load it from this edge")
)

// MayJoin returns why a guest may not be in a swarm, nil if it may; to is the presentation that
// the swarm is for, nil if that is unknown.
func (c *Control) MayJoin(g *Guest, p *Policy, to *catalog.Presentation) error {
	switch {
	case !g.until.After(c.Now()) && !g.until.IsZero():
		return errGuestExpired
	case to == nil && p.TracksServed():
		return errGuestUnknown
	case to == nil:
		return nil
	case to.Stopped():
		return errGuestStopped
	case p.required() && !slices.ContainsFunc(g.scope, func(s string) bool { return tokens.CoversPath(s, to.Path) }):
		return errGuestScope
	}
	return nil
}

// GuestPolicy returns the policy that counts for a guest now; there is false if its site has no
// tracker any more, or keeps the guest out.
func (c *Control) GuestPolicy(g *Guest) (p *Policy, there bool) {
	p, there = c.policyAt(&g.Connection)
	return p, there && p.Tracks() && stand(p, &c.ramps, g.viewing()).part == gives
}
