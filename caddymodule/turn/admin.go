package turn

import (
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/caddymodule/adminapi"
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

// Routes returns the endpoints.
func (Admin) Routes() []caddy.AdminRoute {
	return adminapi.Routes("/mesh/turn/allocations", func() (adminapi.Things, error) {
		var s *server
		servers.Range(func(_, v any) bool { s = v.(*server); return false })
		if s == nil {
			return nil, errors.New("no config has a STUN or TURN server")
		}
		return allocations{s}, nil
	})
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

// allocations are those of a server.
type allocations struct{ server *server }

func (as allocations) List() any {
	list := []allocation{}
	for _, a := range as.server.Allocations() {
		out := allocation{a.Relayed, a.User, a.Transport, a.Listener, "", int64(time.Since(a.Made).Seconds()), a.Up, a.Down}
		if as.server.Policy().LogAddresses {
			out.Client = a.Client.String()
		}
		list = append(list, out)
	}
	return list
}

func (as allocations) End(query url.Values) error {
	at, err := netip.ParseAddrPort(query.Get("relayed"))
	if err != nil {
		return adminapi.Error(http.StatusBadRequest, "write relayed=IP:PORT, as the list has it: %w", err)
	}
	if !as.server.EndAllocation(at) {
		return adminapi.Error(http.StatusNotFound, "no allocation has the relayed address %s", at)
	}
	return nil
}

var (
	_ caddy.Module      = Admin{}
	_ caddy.AdminRouter = Admin{}
)
