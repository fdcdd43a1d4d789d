package browsertest

import (
	"context"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestWithGoPeers: browsers and reference peers are in one swarm and serve each
// other.
func TestWithGoPeers(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	program := filepath.Join(t.TempDir(), "peer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../examples/peer").CombinedOutput(); err != nil {
		t.Fatalf("build the reference peer: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	peers := exec.CommandContext(ctx, program, "--count", "4", "--json", "--for", "40s", e.url("/live/v0/index.m3u8"))
	if err := peers.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = peers.Wait() }() // ended by cancel
	defer cancel()
	var pages []*page
	for _, name := range []string{"page 0", "page 1"} {
		pages = append(pages, open(t, browser, name, e.url("/native.html?src=/live/v0/index.m3u8")))
	}
	for _, p := range pages {
		// There is one other page: whoever beyond it gave or took is a Go peer.
		p.until("bytes from a Go peer", `mesh.neighbors.filter((n) => n.received > 0).length > 1`, 40*time.Second)
		p.until("playing", played(12), 40*time.Second)
	}
	gave := func(p *page) bool { return eval[int](p, `mesh.neighbors.filter((n) => n.given > 0).length`) > 1 }
	for end := time.Now().Add(15 * time.Second); !gave(pages[0]) && !gave(pages[1]); time.Sleep(200 * time.Millisecond) {
		if time.Now().After(end) {
			t.Error("no page gave a Go peer anything")
			break
		}
	}
	offload(t, e, pages)
	for _, p := range pages {
		p.quiet()
	}
}
