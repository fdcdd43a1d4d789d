package e2e

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/peer/hls"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
)

// lowLatencySite starts Caddy with the mesh in front of a packager that makes
// parts of half a second, and gives its URL.
func lowLatencySite(t *testing.T, packager http.Handler) string {
	t.Helper()
	streams := httptest.NewServer(http.StripPrefix("/live", packager))
	t.Cleanup(streams.Close)
	return front(t, streams.Listener.Addr().String())
}

// TestLowLatency: viewers of a low-latency stream play its parts, which they take
// from each other, closer to live than one who plays whole segments, with the
// origin's bytes and without a stall. Parts have names of their own, or are ranges.
// It is the smallest rendition, and players keep 3 s from the end, so that a busy
// machine does not stall them.
func TestLowLatency(t *testing.T) {
	for _, ranges := range []bool{false, true} {
		t.Run(fmt.Sprintf("ranges %v", ranges), func(t *testing.T) {
			noLeaks(t)
			o := newOriginal(t, live.Config{Part: 500 * time.Millisecond, PartHoldBack: 3 * time.Second, PartRanges: ranges})
			base := lowLatencySite(t, o.origin)
			client := newClient(t)
			c := newCrowd(t)
			var parts atomic.Int64
			check := func(r hls.Resource, data []byte) {
				o.check(r, data)
				if isPart(r) {
					parts.Add(1)
				}
			}
			const viewers = 4
			play := player.Config{URL: parseURL(t, base+"/live/v2/index.m3u8"), Played: check}
			for others := range viewers {
				c.play(play, client)
				c.until("a neighbor", time.Minute, func(s viewer.Stats) bool {
					return s.Joined && s.StartupMS > 0 && (s.Report.Neighbors > 0 || others == 0)
				})
			}
			play.WholeSegments, play.Viewer.NoMesh = true, true
			whole := c.play(play, client)
			c.until("20 s of media", time.Minute, func(s viewer.Stats) bool { return s.PlayedMS >= 20_000 })
			late := whole.Latency()
			var peers, origin int64
			var mean time.Duration
			for i, p := range c.players[:viewers] {
				s, behind := p.Stats(), p.Latency()
				t.Logf("viewer %d: %v behind live, %d bytes from peers, %d from the origin, %d stalls", i, behind.Round(time.Millisecond), s.PeerBytes, s.OriginBytes, s.Stalls)
				if s.Stalls != 0 || s.BadChunks != 0 {
					t.Errorf("viewer %d: %d stalls, %d bad chunks", i, s.Stalls, s.BadChunks)
				}
				mean += behind / viewers
				peers += s.PeerBytes
				origin += s.OriginBytes
			}
			c.end()
			if mean <= 0 || mean >= late {
				t.Errorf("viewers of parts are %v behind live on average, one of whole segments %v", mean, late)
			}
			t.Logf("with whole segments %v behind live; offload %.1f %%", late.Round(time.Millisecond), 100*float64(peers)/float64(peers+origin))
			if peers <= origin/2 { // what was played before they were connected is the origin's
				t.Errorf("%d bytes came from peers and %d from the origin", peers, origin)
			}
			// Each second of media is two parts.
			if want := int64(viewers * 20 * 2 / 2); parts.Load() < want {
				t.Errorf("%d parts were played, want %d at least", parts.Load(), want)
			}
			if t.Failed() {
				t.Log(c.log)
			}
		})
	}
}

// isPart says whether a resource of the live origin is a part.
func isPart(r hls.Resource) bool {
	return r.Length > 0 || strings.Count(path.Base(r.URL.Path), ".") == 2
}
