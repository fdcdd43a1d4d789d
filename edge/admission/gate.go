package admission

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/internal/reply"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// Visit is one request on its way through the edge.
type Visit struct {
	// Host is that of the request, in lower case.
	Host string
	// Asked is the URL as the viewer asked for it, before any rewrite.
	Asked *url.URL
	// URL is Asked without its viewer token, where the token was valid.
	URL *url.URL
	// Name is what Asked names on its host.
	Name manifest.Name
	// Listed is what the catalog has at the path of Name, or nil.
	Listed *catalog.Listed

	bearer bool // Authorization holds the viewer token, which the edge has verified
}

// Credentials reports whether r carries credentials of the viewer (RFC 9110, section
// 11.6.2) that the edge knows nothing of.
func (v *Visit) Credentials(r *http.Request) bool {
	return len(r.Header["Authorization"]) > 0 && !v.bearer
}

// Gate lets those responses pass that the viewer token of their request allows.
type Gate struct {
	checker *checker
	catalog *catalog.Catalog
}

// Enter checks the viewer token of a request that is not for an endpoint. It takes
// the token out of r and v, and returns the writer to answer to. handled is true
// if the request was refused.
func (g *Gate) Enter(w http.ResponseWriter, r *http.Request, p *Policy, v *Visit) (_ http.ResponseWriter, handled bool, err error) {
	if isPreflight(r) {
		if p.Tokens.Enforce != EnforceRequire {
			return w, false, nil
		}
		allow(w, r, p)
		return w, true, nil
	}
	uri := g.checker.server.absoluteURI(r, v.URL)
	if g.isPageAsset(r, p, v) {
		return &gateWriter{Writer: &reply.Writer{ResponseWriter: w}, gate: g, tokens: p.Tokens, check: func() (checked, error) {
			return g.checker.check(r, p.Tokens, uri, "")
		}}, false, nil
	}
	a, err := g.checker.check(r, p.Tokens, uri, "")
	if err != nil {
		return w, true, err
	}
	clean := a.entitlement.URI
	if a.refused != nil {
		clean = a.refused.URI
	}
	if clean != "" {
		if err := g.clean(r, v, clean); err != nil {
			return w, true, err
		}
	}
	where := g.kindOf(p, v)
	if where == "" {
		if a.refused != nil {
			// What it is turns out with the response, whose beginning must be there.
			if p.Tokens.Enforce == EnforceRequire {
				r.Header.Del("Range")
			}
			return &gateWriter{Writer: &reply.Writer{ResponseWriter: w}, gate: g, tokens: p.Tokens, checked: a, unnamed: !manifest.IsPageName(v.URL.Path)}, false, nil
		}
		where = "media"
	}
	g.checker.note(a, p.Tokens, where)
	v.bearer = a.entitlement.Field == "Authorization"
	if a.refused != nil {
		if p.Tokens.Enforce == EnforceRequire {
			return w, true, RefuseViewer(w, a.refused)
		}
		return w, false, nil
	}
	if renewal := a.entitlement.Renewal; renewal != nil && (where != "segment" || due(renewal, a.entitlement, g.checker.now())) {
		w = &renewalWriter{Writer: &reply.Writer{ResponseWriter: w}, renewal: renewal, uri: g.checker.server.absoluteURI(r, v.URL)}
	}
	return w, false, nil
}

// kindOf returns what a request is for by its URL: "manifest", "segment", "media",
// or "" if the URL does not tell.
func (g *Gate) kindOf(p *Policy, v *Visit) string {
	switch {
	case v.Listed != nil:
		return "segment"
	case manifest.IsManifestName(v.URL.Path):
		return "manifest"
	case manifest.IsMediaName(v.URL.Path):
		return "media"
	case g.catalog.Guards(v.Host, v.URL.EscapedPath(), p.Identity()):
		return "segment"
	}
	return ""
}

// isPageAsset reports whether a request is for a file of the page around a player, by
// its extension. What a manifest lists under such a name is none, however its path is
// spelled, nor is a range of a file, nor a path that may hold a token.
func (g *Gate) isPageAsset(r *http.Request, p *Policy, v *Visit) bool {
	return v.Listed == nil && manifest.IsPageName(v.URL.Path) && r.Header.Get("Range") == "" &&
		!strings.ContainsAny(v.URL.Path, ";=") && !g.catalog.Guards(v.Host, v.URL.EscapedPath(), p.Identity())
}

// clean takes the viewer token out of r, for whoever handles it next, and out of
// v. clean is v.URL in its absolute form without the token.
func (g *Gate) clean(r *http.Request, v *Visit, clean string) error {
	c, err := url.Parse(clean)
	if err != nil {
		return fmt.Errorf("read the URI without its token: %w", err)
	}
	u := v.URL
	out := *u
	out.Path, out.RawPath, out.RawQuery, out.ForceQuery = c.Path, c.RawPath, c.RawQuery, c.ForceQuery
	if u.RequestURI() == out.RequestURI() {
		return nil
	}
	// r.URL is another one than u where a handler before has rewritten it.
	inner := *r.URL
	inner.RawQuery = without(inner.RawQuery, u.RawQuery, out.RawQuery)
	inner.ForceQuery = false
	escaped := without(inner.EscapedPath(), u.EscapedPath(), out.EscapedPath())
	if inner.Path, err = url.PathUnescape(escaped); err != nil {
		return fmt.Errorf("read the path without its token: %w", err)
	}
	inner.RawPath = escaped
	r.URL, r.RequestURI = &inner, inner.RequestURI()
	v.URL = &out
	return nil
}

// without takes out of s what makes before longer than after, wherever that
// stands in s. If s does not contain all of it, s was rewritten to something else
// and stays.
func without(s, before, after string) string {
	if s == before {
		return after
	}
	if len(after) >= len(before) {
		return s
	}
	head := 0
	for head < len(after) && before[head] == after[head] {
		head++
	}
	return strings.Replace(s, before[head:head+len(before)-len(after)], "", 1)
}
