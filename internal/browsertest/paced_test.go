package browsertest

import (
	"context"
	"testing"
	"time"
)

// The players whose own estimate of the bandwidth can be read. Each begins in the
// middle rendition. The browser's own player is not among them: over such an origin
// it takes the highest and comes back without the mesh, too.
var estimating = map[string]string{
	"hls.js":              "/hls.html?src=/vod/index.m3u8",
	"hls.js with loader":  "/hls.html?loader&src=/vod/index.m3u8",
	"Shaka":               "/shaka.html?estimate=300000&src=/vod/index.m3u8",
	"Shaka with a plugin": "/shaka.html?loader&estimate=300000&src=/vod/index.m3u8",
	"Video.js":            "/video.html?estimate=400000&src=/vod/index.m3u8",
}

// What the test's origins give, in bytes/s, where the renditions need 15, 28 and 56
// kB/s, and what a player believes of it, in bit/s: at most a quarter more.
const (
	carriesMiddle  = 55_000
	carriesHighest = 200_000
)

func believed(rate float64) float64 { return 8 * 1.25 * rate }

// giver opens a page that has all of the middle rendition.
func giver(t *testing.T, browser context.Context, e *edge) *page {
	t.Helper()
	p := open(t, browser, "giver", e.url("/hls.html?level=1&buffer=60&src=/vod/index.m3u8"))
	p.until("all of the middle rendition", "globalThis.look && look().buffered > 47", 60*time.Second)
	eval[any](p, "video.pause(), 0")
	return p
}

// TestPaced: a page takes the middle rendition from a neighbor, in a moment. Its
// player comes to believe that it can have what the origin gives, no more: where that
// does not carry the highest it never asks for it, and where it does, it does.
func TestPaced(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	for name, path := range estimating {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, options{site: withPlayers(players)})
			giver(t, browser, e)

			limit(carriesMiddle)
			p := open(t, browser, "page of a slow origin", e.url(path))
			p.until("half of it", "globalThis.look && look().buffered > 24", 60*time.Second)
			t.Log(eval[string](p, "JSON.stringify(look())"))
			if n := eval[int64](p, "mesh.stats.peerBytes"); n < 300_000 {
				t.Errorf("it took %d bytes from its neighbor: that shows nothing", n)
			}
			if n := asked("/vod/v0/seg"); n > 0 {
				t.Errorf("its player asked for %d segments that the origin does not carry", n)
			}
			if got := eval[float64](p, "estimate()"); got > believed(carriesMiddle) {
				t.Errorf("its player believes in %.0f bit/s, and the origin gives %d", got, 8*carriesMiddle)
			}
			if n := eval[int](p, "waits"); n > 0 {
				t.Errorf("it stalled %d times", n)
			}
			p.quiet()
			p.leave("about:blank")

			limit(carriesHighest)
			p = open(t, browser, "page of a faster origin", e.url(path))
			p.until("the highest rendition", "globalThis.look && look().height === 360", 60*time.Second)
			t.Log(eval[string](p, "JSON.stringify(look())"))
			if got := eval[float64](p, "estimate()"); got > believed(carriesHighest) {
				t.Errorf("its player believes in %.0f bit/s, and the origin gives %d", got, 8*carriesHighest)
			}
			if n := eval[int](p, "waits"); n > 0 {
				t.Errorf("it stalled %d times", n)
			}
			p.quiet()
		})
	}
}

// TestSlowGiver: a neighbor that gives less than the player needs neither stalls it nor
// holds it down: what it does not bring soon comes from the origin.
func TestSlowGiver(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	e := startEdge(t, options{site: withPlayers(players), mesh: "upload_limit 20KB"})
	giver(t, browser, e)
	for name, rate := range map[string]int64{"an origin that carries the middle": carriesMiddle, "one that carries the highest": carriesHighest, "one as fast as can be": 0} {
		limit(rate)
		p := open(t, browser, "page of "+name, e.url(estimating["hls.js"]+"&level=1"))
		p.until("a third of it", "globalThis.look && look().buffered > 16", 60*time.Second)
		t.Log(name, eval[float64](p, "estimate()"), eval[string](p, "JSON.stringify(look())"))
		if n := eval[int64](p, "mesh.stats.peerBytes"); n == 0 {
			t.Errorf("%s: nothing came from the neighbor: that shows nothing", name)
		}
		if got := eval[float64](p, "estimate()"); got < 265_292 { // what hls.js asks of it
			t.Errorf("%s: its player believes in %.0f bit/s, too little for the rendition that it plays", name, got)
		}
		if n := eval[int](p, "waits"); n > 0 {
			t.Errorf("%s: it stalled %d times", name, n)
		}
		p.quiet()
		p.leave("about:blank")
	}
}
