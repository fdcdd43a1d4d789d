package browsertest

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// seconds is how long the pages of a test play. The measure of the issue is 60;
// VIEWMESH_PLAY sets another.
func seconds(t *testing.T, def int) int { return number(t, "VIEWMESH_PLAY", def) }

// number reads an environment variable.
func number(t *testing.T, name string, def int) int {
	t.Helper()
	s := os.Getenv(name)
	if s == "" {
		return def
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		t.Fatalf("%s is %q, want a number", name, s)
	}
	return n
}

// played is a JavaScript expression: the page has played so many seconds.
func played(s int) string { return fmt.Sprintf("globalThis.look && look().played > %d", s) }

// watch opens n pages of one stream, some after another, and waits until each
// has played. What all pages of the edge have received, and what the edge has sent,
// is noted once each has played ten seconds, for offload.
func watch(t *testing.T, browser context.Context, e *edge, n int, path string, play int) []*page {
	t.Helper()
	pages := make([]*page, n)
	for i := range pages {
		pages[i] = open(t, browser, fmt.Sprintf("page %d", i), e.url(path))
	}
	if begin := 10; play > 3*begin {
		for _, p := range pages {
			p.until("beginning", played(begin), time.Duration(begin+40)*time.Second)
		}
		e.begun = tally(e, pages)
		for _, p := range pages {
			p.begun = eval[float64](p, "look().time")
		}
	}
	for _, p := range pages {
		p.until("playing", played(play), time.Duration(play+40)*time.Second)
	}
	return pages
}

// traffic is what pages have received, from each other and from the edge, and
// what the edge has sent; bytes.
type traffic struct{ received, sent int64 }

// tally returns the traffic of the pages until now.
func tally(e *edge, pages []*page) traffic {
	now := traffic{sent: e.stats().Egress}
	for _, p := range pages {
		now.received += eval[int64](p, "globalThis.mesh ? mesh.stats.peerBytes + mesh.stats.originBytes : 0")
	}
	return now
}

// offload logs what the pages and the edge say, and returns the share of bytes
// that the edge did not send, by its own count: from the time when each page had
// played ten seconds if watch has noted it, else from the start. What players ask
// for before they have a neighbor is from the origin, and how much that is depends on
// how fast the machine opens pages.
func offload(t *testing.T, e *edge, pages []*page) float64 {
	t.Helper()
	for _, p := range pages {
		t.Logf("%s: %s", p.name, eval[string](p, "JSON.stringify(look())"))
	}
	all := tally(e, pages)
	share := 1 - float64(all.sent-e.begun.sent)/float64(all.received-e.begun.received)
	t.Logf("edge: %+v; offload by its own count %.3f, of all bytes %.3f", e.stats(), share, 1-float64(all.sent)/float64(all.received))
	return share
}

// smooth fails the test if a page stalled or complained.
func smooth(t *testing.T, pages []*page) {
	t.Helper()
	for _, p := range pages {
		p.quiet()
		if n := eval[int](p, "waits"); n > 0 {
			t.Errorf("%s: stalled %d times: %s", p.name, n, eval[string](p, "JSON.stringify(look())"))
		}
	}
}

// TestNativeLive: pages with nothing but the browser's own HLS carry each other.
func TestNativeLive(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	pages := watch(t, browser, e, 4, "/native.html?src=/live/index.m3u8", seconds(t, 60))
	// The ceiling is 0.75.
	if share := offload(t, e, pages); share < 0.70 {
		t.Errorf("offload is %.3f", share)
	}
	smooth(t, pages)
	same, err := chromedp.Run(pages[0].ctx, chromedp.Evaluate[map[string]int](`compare("/live/v0/index.m3u8")`, chromedp.EvalAwaitPromise))
	if err != nil || same["different"] != 0 || same["equal"] < 10 {
		t.Errorf("bytes that the worker gave, beside the origin's: %v, %v", same, err)
	}
}

// TestNativeVOD: the same of a film; all begin within a few seconds.
func TestNativeVOD(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{site: film(t, 5*time.Minute)})
	pages := watch(t, browser, e, 4, "/native.html?src=/film/index.m3u8", seconds(t, 90))
	if share := offload(t, e, pages); share < 0.70 {
		t.Errorf("offload is %.3f", share)
	}
	smooth(t, pages)
}

// TestShortWindow: a live playlist of five segments.
func TestShortWindow(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{live: "window 5"})
	pages := watch(t, browser, e, 4, "/native.html?src=/live/index.m3u8", seconds(t, 14))
	if share := offload(t, e, pages); share < 0.50 {
		t.Errorf("offload is %.3f", share)
	}
	smooth(t, pages)
}

// TestMany: twelve pages of the lowest rendition, 120 kbit/s. VIEWMESH_PAGES sets
// another number, for which nothing is asked of the offload.
func TestMany(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	n := number(t, "VIEWMESH_PAGES", 12)
	pages := watch(t, browser, e, n, "/native.html?src=/live/v2/index.m3u8", seconds(t, 90))
	// The ceiling is 0.917. A player that stalls while twelve begin on two cores jumps
	// ahead of the others and goes on with two seconds of buffer: what it needs is due
	// when it hears of it. It takes that for all; of every second segment it may have a
	// copy of its own, because on a busy machine no neighbor is in time.
	ahead := 0
	for _, p := range pages {
		if eval[bool](p, "look().time - look().played > 3") {
			ahead++
		}
	}
	if share, want := offload(t, e, pages), 0.87*(1-float64(ahead)/2/float64(n)); n == 12 && share < want {
		t.Errorf("offload is %.3f, want %.3f: %d pages jumped ahead", share, want, ahead)
	}
	for _, p := range pages {
		p.quiet()
		// While twelve players begin, two cores are too few for them.
		if eval[bool](p, fmt.Sprintf("when.some((at) => at > %f)", p.begun)) {
			t.Errorf("%s: stalled after all had begun: %s", p.name, eval[string](p, "JSON.stringify(look())"))
		}
	}
}
