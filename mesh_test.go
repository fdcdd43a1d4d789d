package viewmesh

import (
	"testing"

	"github.com/caddyserver/caddy/v2"
)

// TestModules: who imports this package, as xcaddy does, has every module.
func TestModules(t *testing.T) {
	for _, id := range []string{"mesh", "http.handlers.mesh", "caddy.listeners.mesh_turn", "caddy.packetconns.mesh_turn", "admin.api.mesh_turn"} {
		if _, err := caddy.GetModule(id); err != nil {
			t.Error(err)
		}
	}
}
