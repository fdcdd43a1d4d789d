package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
)

// TestEdgeGoes: when the mesh is taken out of the server in the middle, viewers
// play on without it.
func TestEdgeGoes(t *testing.T) {
	noLeaks(t)
	origin := newOriginal(t, live.Config{})
	streams := httptest.NewServer(http.StripPrefix("/live", origin.origin))
	t.Cleanup(streams.Close)
	port := freeport.Port(t)
	site := func(global, mesh string) string {
		return fmt.Sprintf(`{
			%s
			%s
		}
		http://127.0.0.1:%s {
			%s
			reverse_proxy %s
		}`, caddytest.Options(t), global, port, mesh, strings.TrimPrefix(streams.URL, "http://"))
	}
	caddytest.Start(t, site("mesh {\n stun off\n }", "mesh"))
	base := "http://127.0.0.1:" + port
	client := newClient(t)
	c := newCrowd(t)
	for range 3 {
		c.join(client, base, origin, nil)
	}
	c.until("neighbors", 30*time.Second, func(s viewer.Stats) bool { return s.Report.Neighbors == 2 && s.PeerBytes > 0 })
	caddytest.Load(t, site("", ""))
	c.until("the end of the sessions", 20*time.Second, func(s viewer.Stats) bool { return !s.Joined })
	var played int64
	for _, p := range c.players {
		played = max(played, p.Stats().PlayedMS)
	}
	c.until("8 s more", 40*time.Second, func(s viewer.Stats) bool { return s.PlayedMS > played+8_000 })
	c.end()
	for i, p := range c.players {
		if s := p.Stats(); s.Stalls != 0 {
			t.Errorf("viewer %d stalled %d times", i, s.Stalls)
		}
	}
	if t.Failed() {
		t.Log(c.log)
	}
}

// TestRelay: viewers that may connect over relays only share through the edge's
// own TURN server, and count that apart.
func TestRelay(t *testing.T) {
	noLeaks(t)
	base := demo(t)
	client := newClient(t)
	c := newCrowd(t)
	for range 2 {
		c.join(client, base, newOriginal(t, live.Config{}), func(v *viewer.Config) { v.RelayOnly = true })
	}
	c.until("bytes over a relay", 40*time.Second, func(s viewer.Stats) bool { return s.RelayedBytes > 0 })
	c.end()
	for i, p := range c.players {
		if s := p.Stats(); s.RelayedBytes != s.PeerBytes || s.Stalls != 0 {
			t.Errorf("viewer %d: %d of %d bytes over a relay, %d stalls", i, s.RelayedBytes, s.PeerBytes, s.Stalls)
		}
	}
	if t.Failed() {
		t.Log(c.log)
	}
}
