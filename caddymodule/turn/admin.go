package turn

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"time"

	"github.com/caddyserver/caddy/v2"
)

func init() { caddy.RegisterModule(Admin{}) }

// Admin lists and ends the relay's allocations for the operator, in Caddy's admin API:
//
//	GET    /mesh/turn/allocations
//	DELETE /mesh/turn/allocations?relayed=IP:PORT
type Admin struct{}

// CaddyModule says what this module is.
func (Admin) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "admin.api.mesh_turn", New: func() caddy.Module { return new(Admin) }}
}

// Routes returns the endpoints. They find the relay when they are asked, as it comes
// and goes with configs.
func (Admin) Routes() []caddy.AdminRoute {
	return []caddy.AdminRoute{{Pattern: "/mesh/turn/allocations", Handler: caddy.AdminHandlerFunc(serveAllocations)}}
}

// allocation is a live allocation as the admin API writes it.
type allocation struct {
	Relayed   netip.AddrPort `json:"relayed"` // names the allocation
	User      string         `json:"user"`
	Transport string         `json:"transport"` // udp, tcp or tls
	Listener  string         `json:"listener"`
	Client    string         `json:"client,omitempty"` // with log_addresses
	Seconds   int64          `json:"seconds"`          // since it was made
	UpBytes   int64          `json:"up_bytes"`
	DownBytes int64          `json:"down_bytes"`
}

func serveAllocations(w http.ResponseWriter, r *http.Request) error {
	var s *server
	servers.Range(func(_, v any) bool { s = v.(*server); return false })
	if s == nil {
		return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no config has a STUN or TURN server")}
	}
	switch r.Method {
	case http.MethodGet:
		list := []allocation{}
		for _, a := range s.Allocations() {
			out := allocation{a.Relayed, a.User, a.Transport, a.Listener, "", int64(time.Since(a.Made).Seconds()), a.Up, a.Down}
			if s.Policy().LogAddresses {
				out.Client = a.Client.String()
			}
			list = append(list, out)
		}
		w.Header().Set("Content-Type", "application/json")
		return json.NewEncoder(w).Encode(list)
	case http.MethodDelete:
		at, err := netip.ParseAddrPort(r.URL.Query().Get("relayed"))
		if err != nil {
			return caddy.APIError{HTTPStatus: http.StatusBadRequest, Err: fmt.Errorf("write relayed=IP:PORT, as the list has it: %w", err)}
		}
		if !s.EndAllocation(at) {
			return caddy.APIError{HTTPStatus: http.StatusNotFound, Err: fmt.Errorf("no allocation has the relayed address %s", at)}
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
