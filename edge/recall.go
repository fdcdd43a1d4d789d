package edge

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/response"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

const (
	// recallWait bounds how long a viewer waits for the manifests of a presentation.
	recallWait = 5 * time.Second
	// maxRecalled is how many playlists of a presentation are loaded at once.
	maxRecalled = 32
)

// presentationOf returns the presentation of a session request, or nil. One that
// this edge does not know, because it has started since or another edge has handed
// the swarm id out, it learns from its own upstream, once for all who ask: the id
// proves that the manifest was served, so a stranger cannot make it load anything.
func presentationOf(s *Site, r *http.Request, host string, req *signal.SessionRequest, next Next) *catalog.Presentation {
	e := s.edge
	if p := e.catalog.BySwarm(req.Swarm); p != nil || req.Manifest == "" {
		return p
	}
	u, err := url.ParseRequestURI(req.Manifest)
	if err != nil || !e.catalog.Issued(req.Swarm, host, s.policy.Identity().Of(u).Path, e.config.now()) {
		return nil
	}
	v, _, _ := e.recalls.Do(host+" "+req.Manifest, func() (any, error) { return recall(s, r, host, u, next), nil })
	p := v.(*catalog.Presentation)
	if p == nil {
		return nil
	}
	e.catalog.Restore(req.Swarm, p)
	return e.catalog.BySwarm(req.Swarm)
}

// recall loads a manifest, and the playlists that it names. It returns nil if the
// manifest cannot be loaded.
func recall(s *Site, r *http.Request, host string, u *url.URL, next Next) *catalog.Presentation {
	e := s.edge
	ctx, cancel := context.WithTimeout(r.Context(), recallWait)
	defer cancel()
	load := func(u *url.URL) bool {
		inner := r.Clone(ctx)
		inner.Method, inner.URL, inner.RequestURI = http.MethodGet, u, u.RequestURI()
		inner.Body, inner.ContentLength, inner.TransferEncoding = http.NoBody, 0, nil
		inner.Header = http.Header{"Accept-Encoding": {"identity"}}
		inner = e.config.Server.Prepare(inner, &response.Sink{})
		if err := e.manifests.Load(inner, s.policy, host, next); err != nil {
			e.config.Log.Warn("a manifest could not be loaded anew; viewers of before play from the origin",
				zap.String("path", u.EscapedPath()), zap.Error(err))
			return false
		}
		return true
	}
	if !load(u) {
		return nil
	}
	p := e.catalog.Presentation(host, s.policy.Identity().Of(u).Path)
	if p == nil {
		return nil
	}
	for _, n := range e.catalog.Unread(p, maxRecalled) {
		if u, err := url.ParseRequestURI(n.String()); err == nil && ctx.Err() == nil {
			load(u)
		}
	}
	return p
}
