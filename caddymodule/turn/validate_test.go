package turn_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// TestValidateOpensNoSocket: a config is valid beside a server that has its ports, and
// fails where it is started; validating leaves no file of digests.
func TestValidateOpensNoSocket(t *testing.T) {
	e := newEdge(t)
	udp, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer udp.Close()
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	for _, listen := range []string{"udp/" + udp.LocalAddr().String(), "tcp/" + tcp.Addr().String()} {
		file := e.caddyfile("mesh {\n turn {\n relay_address 127.0.0.1\n listen "+listen+"\n}\n}", "mesh\nrespond ok")
		adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(file), map[string]any{"filename": "Caddyfile"})
		if err != nil {
			t.Fatal(err)
		}
		var config caddy.Config
		if err := json.Unmarshal(adapted, &config); err != nil {
			t.Fatal(err)
		}
		if err := caddy.Validate(&config); err != nil {
			t.Errorf("%s: the config is not valid beside a server that has its port: %v", listen, err)
		}
		if _, err := os.Stat(filepath.Join(e.storage, "mesh", "digests.db")); err == nil {
			t.Error("validating has made the file of digests")
		}
		if err := e.tryLoad(file); err == nil {
			t.Errorf("%s is started though another has its port", listen)
		}
	}
}
