package edge

import (
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/response"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// Next is a handler that may fail. It is how Serve calls the handler behind it.
type Next = response.Next

// Site is a site that the edge serves, with its policy.
type Site struct {
	edge   *Edge
	policy *Policy
}

// Site returns a site with a policy, whose defaults it sets. The error says what
// is wrong with the policy.
func (e *Edge) Site(p Policy) (*Site, error) {
	p.Default()
	if err := p.Validate(); err != nil {
		return nil, err
	}
	e.control.Adopt(&p)
	return &Site{e, &p}, nil
}

// Wrap returns a handler that puts the mesh before next, which serves the media of
// a site. It panics if the policy is not valid; use Site to learn why.
func (e *Edge) Wrap(p Policy, next http.Handler) http.Handler {
	site, err := e.Site(p)
	if err != nil {
		panic("edge: " + err.Error())
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		own := *r // Serve takes viewer tokens out of it
		err := site.Serve(w, &own, func(w http.ResponseWriter, r *http.Request) error {
			next.ServeHTTP(w, r)
			return nil
		})
		if err != nil {
			e.config.Log.Error("request failed", zap.Error(err))
			http.Error(w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		}
	})
}

// Policy returns the site's policy, with its defaults. It must not be changed.
func (s *Site) Policy() *Policy { return s.policy }

// Serve answers a request: one for an endpoint, for what may be a manifest, or for
// a listed segment. All others go to next as they are. It may change r: a viewer
// token is taken out of its URL before next sees it. The error is that of next, or
// a fault of this server that has not been answered yet.
func (s *Site) Serve(w http.ResponseWriter, r *http.Request, next Next) error {
	e, p := s.edge, s.policy
	asked := e.config.Server.URL(r)
	v := &admission.Visit{Host: p.CanonicalHost(r.Host, e.config.Server.HTTPS(r)), Asked: asked, URL: asked}
	if name, ok := strings.CutPrefix(asked.Path, p.Path+"/"); ok {
		if handled, err := s.serveEndpoint(w, r, v.Host, name, next); handled {
			return err
		}
	}
	v.Name = p.Identity().Of(asked)
	v.Listed = e.catalog.Segment(v.Host, v.Name)
	if p.Enforced() {
		var handled bool
		var err error
		if w, handled, err = e.control.Gate().Enter(w, r, p, v); handled {
			return err
		}
	}
	var err error
	switch {
	case v.Listed != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		if !e.proxied.Load() && e.config.Server.ClientAddr(r) != Addr(r.RemoteAddr) {
			e.proxied.Store(true)
		}
		err = e.segments.Serve(w, r, p, v, next)
	case manifest.MayBeManifest(v.URL.Path) && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		err = e.manifests.Serve(w, r, p, v, next)
	default:
		err = next(w, r)
	}
	if held, ok := w.(interface{ Finish() }); ok && err == nil {
		held.Finish()
	}
	return err
}
