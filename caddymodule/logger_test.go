package caddymodule_test

import (
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"testing"
)

// TestLogAfterReload: what outlives a reload logs to the log of the new config.
func TestLogAfterReload(t *testing.T) {
	var n atomic.Int64
	o := origin{segments: []string{"seg.ts"}, serve: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"same"`)
		w.Header().Set("Content-Length", "4000")
		_, _ = w.Write(pattern(fmt.Sprint("another each time ", n.Add(1)), 4000))
	}}
	up := o.start(t)
	e := newEdge(t)
	logs := t.TempDir()
	load := func(name string) {
		t.Helper()
		config := strings.Replace(e.caddyfile("mesh {\n stun udp/127.0.0.1:0\n }", "mesh\n reverse_proxy "+up), "output discard", "output file "+logs+"/"+name, 1)
		if err := e.tryLoad(config); err != nil {
			t.Fatal(err)
		}
	}
	load("first")
	load("second")
	e.get("/s/index.m3u8")
	e.get("/s/seg.ts")
	e.get("/s/seg.ts")
	waitFor(t, func() bool {
		b, err := os.ReadFile(logs + "/second")
		return err == nil && strings.Contains(string(b), "no longer shared")
	})
	b, err := os.ReadFile(logs + "/second")
	if err != nil || !strings.Contains(string(b), "no longer shared") || !strings.Contains(string(b), `"path":"/s/seg.ts"`) || !strings.Contains(string(b), `"logger":"mesh"`) {
		t.Errorf("the second log: %s (%v)", b, err)
	}
	if b, _ := os.ReadFile(logs + "/first"); strings.Contains(string(b), "no longer shared") || !strings.Contains(string(b), "mesh.turn") {
		t.Errorf("the first log: %s", b)
	}
}
