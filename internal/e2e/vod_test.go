package e2e

import (
	"bytes"
	"io/fs"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/media"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// TestOnDemand: a viewer who joins later takes most of a film from the first one. The
// film is served from files, so the edge's statements come in the header of the segments.
func TestOnDemand(t *testing.T) {
	noLeaks(t)
	base := demo(t)
	client := newClient(t)
	c := newCrowd(t)
	check := func(r manifest.Resource, data []byte) {
		want, err := fs.ReadFile(media.Sample(), strings.TrimPrefix(r.URL.Path, "/vod/"))
		if err != nil || !bytes.Equal(data, want) {
			t.Errorf("%s: a viewer played other bytes than the file's: %v", r.URL.Path, err)
		}
	}
	play := player.Config{URL: parseURL(t, base+"/vod/index.m3u8"), Played: check}
	first := c.play(play, client)
	c.until("the first viewer to have some", 30*time.Second, func(s viewer.Stats) bool { return s.Joined && s.BufferMS >= 9_000 })
	second := c.play(play, client)
	c.until("the second viewer to play", 60*time.Second, func(s viewer.Stats) bool { return s.PlayedMS >= 12_000 })
	c.end()
	a, b := first.Stats(), second.Stats()
	t.Logf("the second took %d bytes from the first and %d from the origin", b.PeerBytes, b.OriginBytes)
	if b.PeerBytes < b.OriginBytes {
		t.Errorf("the second took %d bytes from the first and %d from the origin", b.PeerBytes, b.OriginBytes)
	}
	if a.Stalls+b.Stalls != 0 || a.BadChunks+b.BadChunks != 0 {
		t.Errorf("%d stalls, %d bad chunks", a.Stalls+b.Stalls, a.BadChunks+b.BadChunks)
	}
	if s := getStats(t, client, base); !near(s.OriginEgressBytes, a.OriginBytes+b.OriginBytes) {
		t.Errorf("the edge sent %d bytes, the viewers got %d", s.OriginEgressBytes, a.OriginBytes+b.OriginBytes)
	}
	if t.Failed() {
		t.Log(c.log)
	}
}
