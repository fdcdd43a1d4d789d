package caddymodule

import (
	"context"
	"net/http"
	"net/url"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/fileserver"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp/reverseproxy"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge"
)

// mesh is what one handler of a config is to viewers.
type mesh struct {
	handler caddyhttp.MiddlewareHandler
	policy  *edge.Policy
}

// place is where a handler stands among the routes of an HTTP server.
type place struct {
	mesh
	server  *caddyhttp.Server       // nil if it was not found: inside of a handler that is unknown here
	around  []caddyhttp.MatcherSets // of the routes around it, from the outermost
	onError bool                    // it stands in handle_errors
	after   string                  // what answers every request before it, if anything does
}

// findPlaces finds the handlers of a config.
func findPlaces(ctx caddy.Context, meshes []mesh) []place {
	var places []place
	if app, err := ctx.AppIfConfigured("http"); err == nil {
		for _, srv := range app.(*caddyhttp.App).Servers {
			at := place{server: srv}
			at.walk(srv.Routes, meshes, &places)
			if srv.Errors != nil {
				at = place{server: srv, onError: true}
				at.walk(srv.Errors.Routes, meshes, &places)
			}
		}
	}
	for _, m := range meshes {
		if !slices.ContainsFunc(places, func(p place) bool { return p.handler == m.handler }) {
			places = append(places, place{mesh: m})
		}
	}
	return places
}

// walk adds those of meshes that stand in routes at this place. It returns what in them answers
// every request that comes there, if anything does.
func (at place) walk(routes caddyhttp.RouteList, meshes []mesh, places *[]place) string {
	for _, route := range routes {
		in := at
		in.around = append(slices.Clip(at.around), route.MatcherSets)
		for _, h := range route.Handlers {
			switch h := h.(type) {
			case *caddyhttp.Subroute:
				if end := in.walk(h.Routes, meshes, places); end != "" {
					in.after = end
				}
			case *fileserver.FileServer:
				if !h.PassThru {
					in.after = "file_server"
				}
			case *reverseproxy.Handler:
				in.after = "reverse_proxy"
			case *caddyhttp.StaticResponse:
				in.after = "respond"
			default:
				for _, m := range meshes {
					if m.handler == h {
						in.mesh = m
						*places = append(*places, in)
					}
				}
			}
		}
		if len(route.MatcherSets) == 0 {
			at.after = in.after
		}
	}
	return at.after
}

// is reports whether this is the place that viewers who know the edge so find under
// a Policy.Path. What is not known of the place does not speak against it.
func (p place) is(at edge.KnownAs, path string) bool {
	return p.policy.Path == path && !p.onError && p.listens(at.Port) && p.passes(at.Host, path, false)
}

// listens reports whether the server has a port, 0 for an unknown one.
func (p place) listens(port int) bool {
	if p.server == nil || port == 0 {
		return true
	}
	return slices.ContainsFunc(p.server.Listen, func(listen string) bool {
		a, err := caddy.ParseNetworkAddress(listen)
		return err != nil || a.StartPort == 0 || uint(port) >= a.StartPort && uint(port) <= a.EndPort
	})
}

// passes reports whether the matchers around the place let a request for an endpoint
// through: those of the host if it is not "", and those of the path if paths is true.
// Other matchers are taken to match.
func (p place) passes(host, path string, paths bool) bool {
	r := &http.Request{Method: http.MethodPost, Host: host, URL: &url.URL{Path: path + "/session"}, Header: http.Header{}}
	repl := caddy.NewReplacer()
	r = r.WithContext(context.WithValue(context.Background(), caddy.ReplacerCtxKey, repl))
	return !slices.ContainsFunc(p.around, func(sets caddyhttp.MatcherSets) bool {
		return len(sets) > 0 && !slices.ContainsFunc(sets, func(set caddyhttp.MatcherSet) bool {
			for _, m := range set {
				ok, err := true, error(nil)
				switch m := m.(type) {
				case *caddyhttp.MatchHost:
					if host != "" {
						ok, err = m.MatchWithError(r)
					}
				case *caddyhttp.MatchPath:
					if paths {
						ok, err = m.MatchWithError(r)
					}
				}
				if err == nil && !ok {
					return false
				}
			}
			return true
		})
	})
}

// warn has the log say why no viewer can reach the endpoints at this place.
func (p place) warn(log *zap.Logger) {
	const message = "mesh cannot work where it stands: viewers cannot reach its endpoints"
	at := zap.String("endpoints", p.policy.Path+"/*")
	switch {
	case p.onError:
		log.Warn(message, at, zap.String("hint", "it stands in handle_errors, where no stream passes; move it into the site"))
	case p.after != "":
		log.Warn(message, at, zap.String("hint", p.after+" answers before it; move mesh up"))
	case !p.passes("", p.policy.Path, true):
		log.Warn(message, at, zap.String("hint",
			"a path matcher, handle or handle_path around it keeps them out; move mesh out of it, or set its option path to one that it lets through"))
	}
}
