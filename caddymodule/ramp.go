package caddymodule

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/caddymodule/adminapi"
	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/edge/admission"
)

func init() { caddy.RegisterModule(RampAdmin{}) }

// RampAdmin sets the share of viewers that take part, without a reload, in Caddy's admin API.
// It goes before the option ramp until it is taken back, or the server ends; viewers whose
// sessions are open follow with their next announce, within two minutes.
//
//	GET    /mesh/ramp                          the shares that are set, by host
//	PUT    /mesh/ramp?share=20%25[&host=HOST]  all hosts that have none of their own, or one
//	DELETE /mesh/ramp[?host=HOST]
type RampAdmin struct{}

// CaddyModule says what this module is.
func (RampAdmin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.mesh_ramp", New: func() caddy.Module { return new(RampAdmin) }}
}

// Routes returns the endpoint.
func (RampAdmin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/mesh/ramp", Handler: caddy.AdminHandlerFunc(serveRamp)}}
}

func serveRamp(w http.ResponseWriter, r *http.Request) error {
	var e *edge.Edge
	runtimes.Range(func(_, v any) bool { e = v.(*runtime).edge; return false })
	if e == nil {
		return adminapi.Error(http.StatusNotFound, "%w", errors.New("no config has a mesh"))
	}
	host := r.URL.Query().Get("host")
	switch r.Method {
	case http.MethodGet:
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(e.Ramps().List())
	case http.MethodPut:
		share, err := admission.ParseShare(r.URL.Query().Get("share"))
		if err == nil {
			err = e.Ramps().Set(host, share)
		}
		if err != nil {
			return adminapi.Error(http.StatusBadRequest, "%w", err)
		}
	case http.MethodDelete:
		if !e.Ramps().Unset(host) {
			return adminapi.Error(http.StatusNotFound, "no share is set for host %q; GET lists them", host)
		}
	default:
		return adminapi.Error(http.StatusMethodNotAllowed, "use GET, PUT or DELETE")
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

var (
	_ caddy.Module      = RampAdmin{}
	_ caddy.AdminRouter = RampAdmin{}
)
