package caddymodule

import (
	"errors"
	"net/http"
	"net/url"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/caddymodule/adminapi"
	"github.com/viewmesh/viewmesh/edge"
)

func init() { caddy.RegisterModule(Admin{}) }

// Admin lists the presentations that are not shared any more, because viewers got
// different bytes at one URL, with the reason, and has them shared again, in Caddy's
// admin API:
//
//	GET    /mesh/stopped
//	DELETE /mesh/stopped?presentation=HOST/PATH
type Admin struct{}

// CaddyModule says what this module is.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.mesh", New: func() caddy.Module { return new(Admin) }}
}

// Routes returns the endpoints.
func (Admin) Routes() []caddy.AdminRoute {
	return adminapi.Routes("/mesh/stopped", func() (adminapi.Things, error) {
		var e *edge.Edge
		runtimes.Range(func(_, v any) bool { e = v.(*runtime).edge; return false })
		if e == nil {
			return nil, errors.New("no config has a mesh")
		}
		return stopped{e}, nil
	})
}

// stopped are the presentations of an edge that are not shared any more.
type stopped struct{ edge *edge.Edge }

func (s stopped) List() any { return s.edge.Stopped() }

func (s stopped) End(query url.Values) error {
	name := query.Get("presentation")
	if !s.edge.Resume(name) {
		return adminapi.Error(http.StatusNotFound, "no presentation %q is stopped; write presentation=NAME, as GET lists it", name)
	}
	return nil
}

var (
	_ caddy.Module      = Admin{}
	_ caddy.AdminRouter = Admin{}
)
