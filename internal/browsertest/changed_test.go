package browsertest

import (
	"context"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
)

// TestChangedFile: a file changes at the origin while a Go viewer holds the old bytes, whose
// statement stays valid for hours. A page that joins later plays the new bytes, takes other
// segments from that viewer, and does not accuse it.
func TestChangedFile(t *testing.T) {
	browser := startBrowser(t)
	dir := t.TempDir()
	if err := os.CopyFS(dir, os.DirFS("../../examples/media/sample/v1")); err != nil {
		t.Fatal(err)
	}
	e := startEdge(t, options{site: "handle /metrics {\n metrics\n }\nhandle_path /film/* {\n root " + dir + "\n file_server\n }"})
	u, err := url.Parse(e.url("/film/index.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	holder := player.New(player.Config{URL: u, Viewer: viewer.Config{HTTP: http.DefaultClient, Log: slog.New(slog.DiscardHandler)}})
	go func() { ended <- holder.Run(ctx) }()
	for begun := time.Now(); holder.Stats().BufferMS < 8000; time.Sleep(50 * time.Millisecond) {
		if time.Since(begun) > 30*time.Second {
			t.Fatalf("the viewer in Go does not play: %+v", holder.Stats())
		}
	}
	file := filepath.Join(dir, "seg-0.m4s")
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	b = binary.BigEndian.AppendUint32(b, 64) // a box that says nothing: the same picture in other bytes
	b = append(append(b, "free"...), make([]byte, 56)...)
	if err := os.WriteFile(file, b, 0o644); err != nil {
		t.Fatal(err)
	}
	page := watch(t, browser, e, 1, "/native.html?src=/film/index.m3u8", 6)[0]
	page.until("bytes from the other", "mesh.stats.peerBytes > 0", 30*time.Second)
	page.until("all of the new file", fmt.Sprintf(`(globalThis.asked ??= fetch("/film/seg-0.m4s").then((r) => r.arrayBuffer()).then((b) => { globalThis.size = b.byteLength; }),
		globalThis.size === %d)`, len(b)), 10*time.Second)
	bad := eval[int64](page, "mesh.stats.badChunks") + holder.Stats().BadChunks
	if n := e.banned(); n != 0 || bad != 0 {
		t.Errorf("%d peers are banned, and %d chunks were bad", n, bad)
	}
	page.quiet()
	stop()
	<-ended
	player.Close([]*player.Player{holder})
}
