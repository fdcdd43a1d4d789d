package browsertest

import (
	"fmt"
	"testing"
	"time"
)

// TestLookout: whoever is to fetch the next segment of a live stream for others
// fetches it when it is there, however late its player loads the playlist anew.
func TestLookout(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	p := open(t, browser, "page", e.url("/asks.html?src=/live/v2/index.m3u8")) // which loads it once
	p.until("a session", "!!globalThis.viewer?.engine", 20*time.Second)
	last := eval[int](p, "[...viewer.presentation.playlists.values()][0].segments.at(-1).sequence")
	eval[bool](p, "!!ask(8)")
	p.until("the segments that came next", fmt.Sprintf(`[...viewer.presentation.byId.values()].filter((r) =>
		r.sequence > %d && viewer.engine.lookup(r.id)?.whole).length >= 3`, last), 20*time.Second)
	p.quiet()
}
