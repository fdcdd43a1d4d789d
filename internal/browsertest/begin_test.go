package browsertest

import (
	"fmt"
	"testing"
	"time"
)

// TestBegin: a page connects with one neighbor until its player has begun, then
// with all.
func TestBegin(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	const others = 3
	for i := range others {
		p := open(t, browser, fmt.Sprintf("page %d", i), e.url("/native.html?src=/vod/v2/index.m3u8"))
		p.until("playing", played(0), 40*time.Second)
	}
	p := open(t, browser, "late page", e.url("/asks.html?src=/vod/v2/index.m3u8"))
	p.until("a session", "!!globalThis.viewer?.engine", 20*time.Second)
	eval[bool](p, "!!ask(1)")
	p.until("one neighbor", fmt.Sprintf("mesh.stats.neighbors === 1 && viewer.waiting.length === %d", others-1), 20*time.Second)
	eval[bool](p, "!!ask(6)") // without a media element to look at, it has begun with that
	p.until("all neighbors", fmt.Sprintf("mesh.stats.neighbors === %d", others), 20*time.Second)
	p.quiet()
}
