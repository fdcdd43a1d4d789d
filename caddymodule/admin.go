package caddymodule

import (
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"

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

// Routes returns the endpoints. They find the edge when they are asked, as it comes and
// goes with configs.
func (Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/mesh/stopped", Handler: caddy.AdminHandlerFunc(serveStopped)}}
}

func serveStopped(w http.ResponseWriter, r *http.Request) error {
	var e *edge.Edge
	runtimes.Range(func(_, v any) bool { e = v.(*runtime).edge; return false })
	if e == nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no config has a mesh")}
	}
	switch r.Method {
	case http.MethodGet:
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(e.Stopped())
	case http.MethodDelete:
		name := r.URL.Query().Get("presentation")
		if !e.Resume(name) {
			return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no presentation %q is stopped; write presentation=NAME, as GET lists it", name)}
		}
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return caddy.APIError{HTTPStatus: http.StatusMethodNotAllowed, Err: fmt.Errorf("use GET or DELETE")}
}

var (
	_ caddy.Module      = Admin{}
	_ caddy.AdminRouter = Admin{}
)
