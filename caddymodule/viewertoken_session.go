package caddymodule

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
	"github.com/viewmesh/viewmesh/tokens"
)

const (
	// maxTried is how many playlists of a presentation a token is held against.
	maxTried = 8
	// maxEntitled bounds the memory of the sessions that stand on a viewer token.
	maxEntitled = 1 << 17
	// leastSession is the shortest session worth while.
	leastSession = 15 * time.Second
	// entitledFor is how long a session may last on a token that never expires.
	entitledFor = 24 * time.Hour
)

// entitled is what a session stands on.
type entitled struct {
	scope  []string  // path prefixes that the viewer token allows
	until  time.Time // when the token dies
	viewer viewerID  // whom it names
}

// everything is what a session stands on at a site without viewer tokens.
func everything(now time.Time) entitled {
	return entitled{scope: []string{"/"}, until: now.Add(entitledFor)}
}

// entitle checks the viewer token of a session request for p: the one of the
// body, or else one in the URL, a header or a cookie. It is held against the
// playlists of p, one of which the viewer has asked for. The refusal says why
// there is no session.
func (h *Handler) entitle(r *http.Request, p *presentation, token string) (entitled, *tokens.Renewal, *tokens.Refusal, error) {
	now := h.rt.now()
	if !h.enforced() {
		return everything(now), nil, nil, nil
	}
	var first admission
	for i, path := range h.rt.catalog.playlistsOf(p) {
		u := &url.URL{RawQuery: r.URL.RawQuery}
		var err error
		if u.Path, err = url.PathUnescape(path); err != nil {
			continue
		}
		u.RawPath = path
		a, err := h.verify(r, absoluteURI(r, u), token)
		if err != nil {
			return entitled{}, nil, nil, err
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
	h.note(first, "session")
	if first.refused != nil {
		if h.Token.Enforce == EnforceObserve {
			return everything(now), nil, nil, nil
		}
		return entitled{}, nil, first.refused, nil
	}
	e := first.entitlement
	out := entitled{scope: e.Grant.Scope(), until: e.Expires, viewer: viewerOf(e)}
	if e.Renewal != nil && e.Renewal.Transport == tokens.TransportCookie && e.Renewal.Expires.After(out.until) && !out.until.IsZero() {
		out.until = e.Renewal.Expires
	}
	if limit := now.Add(entitledFor); out.until.IsZero() || out.until.After(limit) {
		out.until = limit
	}
	return out, e.Renewal, nil, nil
}

// playlistsOf gives the paths of some playlists of p, the shortest first, which
// puts the multivariant playlist before its renditions.
func (c *catalog) playlistsOf(p *presentation) []string {
	c.mu.RLock()
	paths := make([]string, 0, len(p.playlists))
	for path := range p.playlists {
		paths = append(paths, path)
	}
	c.mu.RUnlock()
	slices.SortFunc(paths, func(a, b string) int {
		if d := len(a) - len(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return paths[:min(len(paths), maxTried)]
}

// intersect gives the prefixes that cover what both of two lists of prefixes
// cover, at most maxScopes.
func intersect(a, b []string) []string {
	var out []string
	for _, x := range a {
		for _, y := range b {
			both := ""
			switch {
			case tokens.CoversPath(y, x):
				both = x
			case tokens.CoversPath(x, y):
				both = y
			}
			if both != "" && !slices.Contains(out, both) && len(out) < maxScopes {
				out = append(out, both)
			}
		}
	}
	return out
}

// standOn gives the expiry and the scope of a new session's pass, and remembers
// what it stands on. The error is a *tokens.Refusal where that is too little.
func (h *Handler) standOn(peer wire.PeerID, p *presentation, e entitled, now time.Time) (time.Time, []string, error) {
	scope := h.rt.scopeOf(p, e)
	expires := earlier(now.Add(h.site.ttl), e.until)
	switch {
	case len(scope) == 0:
		return expires, nil, &tokens.Refusal{Reason: tokens.ReasonURI, Status: http.StatusForbidden,
			Detail: "the token allows no directory of segments; play from the origin"}
	case expires.Sub(now) < leastSession:
		return expires, nil, &tokens.Refusal{Reason: tokens.ReasonExpired, Status: http.StatusServiceUnavailable,
			Detail: "the token dies too soon for a session; come again with a new one"}
	case h.site.tokens && !h.rt.entitled.put(peer, e, now):
		return expires, nil, &tokens.Refusal{Reason: tokens.ReasonKeysUnavailable, Status: http.StatusServiceUnavailable,
			Detail: "too many sessions; play from the origin"}
	}
	return expires, scope, nil
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

// scopeOf gives what a pass for p may cover: what is served and what the token
// allows. It is empty if no segment can be among it.
func (rt *runtime) scopeOf(p *presentation, e entitled) []string {
	out := intersect(rt.catalog.scopesOf(p), e.scope)
	rt.catalog.mu.RLock()
	defer rt.catalog.mu.RUnlock()
	return slices.DeleteFunc(out, func(s string) bool { return p.playlists[s] != nil })
}

// group names the peers that may meet: those with the same part of a
// presentation. It is "" for all of it, however much that is by now.
func (rt *runtime) group(p *presentation, e entitled) string {
	whole := rt.catalog.scopesOf(p)
	for _, s := range whole {
		if !slices.ContainsFunc(e.scope, func(allowed string) bool { return tokens.CoversPath(allowed, s) }) {
			part := intersect(whole, e.scope)
			slices.Sort(part)
			return strings.Join(part, " ")
		}
	}
	return ""
}

// entitlements remembers what sessions stand on, by peer, for their renewal.
type entitlements struct {
	mu sync.Mutex
	of map[wire.PeerID]entitled
}

// put remembers e; it reports false if there is no room.
func (m *entitlements) put(peer wire.PeerID, e entitled, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[wire.PeerID]entitled{}
	}
	if len(m.of) >= maxEntitled {
		for id, old := range m.of {
			if !now.Before(old.until) {
				delete(m.of, id)
			}
		}
	}
	if len(m.of) >= maxEntitled {
		return false
	}
	m.of[peer] = e
	return true
}

// get gives what the session of a peer stands on. ok is false if that is not
// known or has ended.
func (m *entitlements) get(peer wire.PeerID, now time.Time) (e entitled, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok = m.of[peer]; ok && !now.Before(e.until) {
		delete(m.of, peer)
		ok = false
	}
	return e, ok
}

// standing gives what the session of a connection stands on. A session of a site
// without viewer tokens has no entry and needs none.
func (c *conn) standing(now time.Time) (e entitled, ok bool) {
	if e, ok = c.rt.entitled.get(c.peer, now); ok {
		return e, true
	}
	return everything(now), !c.rt.sites.of(c.at.Host, c.site).tokens
}
