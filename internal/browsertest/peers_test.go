package browsertest

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// goPeers starts reference peers that watch the live stream until the test ends.
func goPeers(t *testing.T, e *edge, n int) {
	t.Helper()
	program := filepath.Join(t.TempDir(), "peer")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, "../../examples/peer").CombinedOutput(); err != nil {
		t.Fatalf("build the reference peer: %v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	peers := exec.CommandContext(ctx, program, "--count", strconv.Itoa(n), "--json", e.url("/live/v0/index.m3u8"))
	if err := peers.Start(); err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = peers.Wait() // ended by cancel
	})
}

// TestWithGoPeers: browsers and reference peers are in one swarm and serve each
// other.
func TestWithGoPeers(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	goPeers(t, e, 4)
	var pages []*page
	for _, name := range []string{"page 0", "page 1"} {
		pages = append(pages, open(t, browser, name, e.url("/native.html?src=/live/v0/index.m3u8")))
	}
	for _, p := range pages {
		p.until("a neighbor", `mesh.neighbors.length > 0`, 40*time.Second)
		p.until("playing", played(12), 40*time.Second)
	}
	// Who gives to whom is the engines' choice; what they must not do is keep to
	// their own kind.
	const own = `[...mesh.viewers.values()].map((v) => v.engine?.cfg.id)`
	var others []string
	for _, p := range pages {
		others = append(others, eval[[]string](p, own)...)
	}
	with := func(what string) (n int) {
		for _, p := range pages {
			n += eval[int](p, fmt.Sprintf(`mesh.neighbors.filter((n) => !%s.includes(n.peer) && %s).length`, strings.ReplaceAll(fmt.Sprintf("%q", others), " ", ","), what))
		}
		return n
	}
	for _, what := range []string{"true", "n.received > 0", "n.given > 0"} {
		for end := time.Now().Add(40 * time.Second); with(what) == 0; time.Sleep(200 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no page has a reference peer as a neighbor with %s", what)
			}
		}
	}
	offload(t, e, pages)
	for _, p := range pages {
		p.quiet()
	}
}
