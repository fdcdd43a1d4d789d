package caddymodule_test

import (
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/caddymodule"
)

// TestConfigErrors: what the Caddyfile parser cannot know, or JSON says wrong, is
// an error that names the option and says what to give.
func TestConfigErrors(t *testing.T) {
	e := newEdge(t)
	for _, c := range []struct{ name, global, mesh, want string }{
		{"relative path", "", "path mesh", "write an absolute path"},
		{"path with slash", "", "path /mesh/", "write an absolute path"},
		{"root path", "", "path /", "write an absolute path"},
		{"short pass", "", "session_ttl 5s", "session_ttl 5s: write 30s to 24h"},
		{"long pass", "", "session_ttl 48h", "write 30s to 24h"},
		{"rare announces", "", "announce_interval 10m", "announce_interval 10m0s: write 1s to 2m"},
		{"rare reports", "", "report_interval 10m", "report_interval 10m0s: write 1s to 2m"},
		{"one site twice", "", "site a 203.0.113.1\n site a 203.0.113.2", "site a is there twice"},
		{"relay_only alone", "", "relay_only", "configure turn"},
		{"no keys", "mesh {\n stun off\n keys_file /nowhere.json\n }", "", "read keys_file"},
		{"stun on a port that is taken", "mesh {\n stun udp/192.0.2.1:3478\n }", "", "192.0.2.1:3478"},
		{"mesh_turn alone", "mesh {\n stun off\n }\n servers {\n listener_wrappers {\n mesh_turn\n }\n }", "", "needs a relay"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.global == "" {
				c.global = "mesh {\n stun off\n }"
			}
			err := e.tryLoad(e.caddyfile(c.global, "mesh {\n"+c.mesh+"\n }"))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %v, want one with %q", err, c.want)
			}
		})
	}
	if caddymodule.CurrentEdge() != nil {
		t.Error("a config that failed left the edge behind")
	}
}
