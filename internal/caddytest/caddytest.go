// Package caddytest runs Caddy in the process of a test; there can be one at a time.
package caddytest

import (
	"fmt"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard" // the Caddyfile
)

// Options are the global options of a Caddy in a test: nobody administers it, it
// gets no certificates, and Quiet.
func Options(t testing.TB) string {
	return "admin off\npersist_config off\nauto_https off\n" + Quiet(t)
}

// Quiet are those of Options that have it stop at once, keep what it stores in a
// folder of the test, and log nothing.
func Quiet(t testing.TB) string {
	return fmt.Sprintf("grace_period 1s\nstorage file_system %q\nlog {\n output discard\n}\n", t.TempDir())
}

// Start runs a Caddyfile until the end of the test.
func Start(t testing.TB, caddyfile string) {
	t.Helper()
	Load(t, caddyfile)
	t.Cleanup(func() {
		if err := caddy.Stop(); err != nil {
			t.Errorf("stop Caddy: %v", err)
		}
	})
}

// Load has the Caddy that runs go on with another Caddyfile.
func Load(t testing.TB, caddyfile string) {
	t.Helper()
	config, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		t.Fatal(err)
	}
	if err := caddy.Load(config, true); err != nil {
		t.Fatal(err)
	}
}
