package edge

import (
	"net/http"
	"strings"

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

// Serve answers a request: one for an endpoint, for what may be a manifest, or for
// a listed segment. All others go to next as they are. It may change r: a viewer
// token is taken out of its URL before next sees it. The error is that of next, or
// a fault of this server that has not been answered yet.
func (s *Site) Serve(w http.ResponseWriter, r *http.Request, next Next) error {
	e, p := s.edge, s.policy
	asked := e.config.Server.URL(r)
	v := &admission.Visit{Host: manifest.CanonicalHost(r.Host, e.config.Server.HTTPS(r)), Asked: asked, URL: asked}
	if name, ok := strings.CutPrefix(asked.Path, p.Path+"/"); ok {
		if handled, err := s.serveEndpoint(w, r, v.Host, name); handled {
			return err
		}
	}
	v.Listed = e.catalog.Segment(v.Host, asked.EscapedPath())
	if p.Enforced() {
		var handled bool
		var err error
		if w, handled, err = e.control.Gate().Enter(w, r, p, v); handled {
			return err
		}
	}
	switch {
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
	case v.Listed != nil:
		return e.segments.Serve(w, r, p, v, next)
	case manifest.MayBeManifest(v.URL.Path):
		return e.manifests.Serve(w, r, p, v, next)
	}
	return next(w, r)
}
