package caddymodule

import (
	"os"
	"strings"
	"testing"

	"go.uber.org/zap"
)

// TestLogAfterReload: what outlives a reload logs to the log of the new config.
func TestLogAfterReload(t *testing.T) {
	dir := vod(t, 1, 100)
	e := newEdge(t)
	logs := t.TempDir()
	load := func(name string) {
		t.Helper()
		config := strings.Replace(e.caddyfile("mesh {\n stun udp/127.0.0.1:0\n }", "mesh\n root "+dir+"\n file_server"), "output discard", "output file "+logs+"/"+name, 1)
		if err := e.tryLoad(config); err != nil {
			t.Fatal(err)
		}
	}
	load("first")
	load("second")
	rt := currentRuntime(t)
	p := rt.catalog.presentation(e.addr, "/vod/index.m3u8")
	rt.stopSharing(p, "a reason", zap.String("path", "/vod/x"))
	b, err := os.ReadFile(logs + "/second")
	if err != nil || !strings.Contains(string(b), "no longer shared") || !strings.Contains(string(b), `"path":"/vod/x"`) || !strings.Contains(string(b), `"logger":"mesh"`) {
		t.Errorf("the second log: %s (%v)", b, err)
	}
	if b, _ := os.ReadFile(logs + "/first"); strings.Contains(string(b), "no longer shared") || !strings.Contains(string(b), "mesh.turn") {
		t.Errorf("the first log: %s", b)
	}
}
