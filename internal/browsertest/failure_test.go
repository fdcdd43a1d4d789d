package browsertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/serviceworker"
	"github.com/chromedp/chromedp"
)

// TestWorkerKilled: the browser may stop a worker at any time. Playback goes on,
// and the next worker takes the page up again.
func TestWorkerKilled(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	pages := watch(t, browser, e, 2, "/native.html?src=/live/index.m3u8", 5)
	for _, p := range pages {
		if _, err := chromedp.Call(p.ctx, serviceworker.Enable, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
		if _, err := chromedp.Call(p.ctx, serviceworker.StopAllWorkers, cdp.Empty{}); err != nil {
			t.Fatal(err)
		}
	}
	before := eval[int64](pages[1], "mesh.stats.peerBytes")
	for _, p := range pages {
		p.until("playing on", played(14), 30*time.Second)
	}
	pages[1].until("bytes from the other page", fmt.Sprintf("mesh.stats.peerBytes > %d", before), 20*time.Second)
	smooth(t, pages)
}

// TestEdgeSilent: everything below /mesh/ stops answering midway; pages that
// come later find no mesh at all. All play.
func TestEdgeSilent(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	pages := watch(t, browser, e, 2, "/native.html?src=/live/index.m3u8", 5)
	silent.Store(true)
	late := open(t, browser, "late page", e.url("/native.html?src=/live/index.m3u8&late"))
	for _, p := range pages {
		p.until("playing on", played(14), 30*time.Second)
		if n := eval[int](p, "waits"); n > 1 { // one may be that of a busy machine
			t.Errorf("%s: stalled %d times: %s", p.name, n, eval[string](p, "JSON.stringify(look())"))
		}
	}
	late.until("playing without a mesh", played(4), 30*time.Second)
}

// TestRest: a page whose viewer has paused for minutes leaves the swarm, and comes
// back with the next segment that the player asks for, though it loads no playlist
// again.
func TestRest(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	pages := watch(t, browser, e, 2, "/native.html?src=/vod/index.m3u8", 3)
	for _, p := range pages {
		p.until("a neighbor", "mesh.neighbors.length === 1", 20*time.Second)
	}
	const viewer = "[...mesh.viewers.values()][0]"
	eval[any](pages[0], `document.querySelector("video").pause(), 0`)
	pages[0].until("a player that has enough", "performance.now() - "+viewer+".lastUse > 3000", 30*time.Second)
	eval[any](pages[0], viewer+".lastUse -= 180_000, 0")
	for _, p := range pages {
		p.until("being alone", "mesh.neighbors.length === 0", 20*time.Second)
	}
	before := eval[int64](pages[0], "mesh.stats.peerBytes + mesh.stats.originBytes")
	eval[any](pages[0], `((v) => { v.currentTime = v.duration - 4; v.play(); })(document.querySelector("video")), 0`)
	for _, p := range pages {
		p.until("a neighbor again", "mesh.neighbors.length === 1", 20*time.Second)
	}
	pages[0].until("bytes that it counts", fmt.Sprintf("mesh.stats.peerBytes + mesh.stats.originBytes > %d", before), 20*time.Second)
	for _, p := range pages {
		p.quiet()
	}
}
