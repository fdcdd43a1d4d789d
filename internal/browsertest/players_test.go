package browsertest

import "testing"

// TestPlayers: hls.js, Shaka Player, dash.js and Video.js as npm has them, with
// the worker and with a loader, carry each other as the browser's own player does.
func TestPlayers(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	for name, path := range map[string]string{
		"hls.js":              "/hls.html?src=/live/index.m3u8",
		"hls.js with loader":  "/hls.html?loader&src=/live/index.m3u8",
		"Shaka":               "/shaka.html?src=/live/index.m3u8",
		"Shaka with a plugin": "/shaka.html?loader&src=/live/index.m3u8",
		"Shaka with DASH":     "/shaka.html?src=/live/manifest.mpd",
		"dash.js":             "/dash.html?src=/live/manifest.mpd",
		"Video.js":            "/video.html?src=/live/index.m3u8",
		"dash.js with loader": "/dash.html?loader&src=/live/manifest.mpd",
	} {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, options{site: withPlayers(players)})
			pages := watch(t, browser, e, 4, path, seconds(t, 12))
			if share := offload(t, e, pages); share < 0.4 { // the ceiling is 0.75; a busy machine goes to the origin early
				t.Errorf("offload is %.3f", share)
			}
			for _, p := range pages {
				p.quiet()
			}
		})
	}
}

// TestPaced: an origin of 45 kB/s a connection carries the middle level of the
// stream, not the highest. A page that has the middle one gives it to another,
// whose player must not come to believe that it can have more: it may try the
// highest once, as players do, and comes back without a stall.
func TestPaced(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	e := startEdge(t, options{site: withPlayers(players)})
	segmentRate.Store(45_000)
	first := watch(t, browser, e, 1, "/hls.html?level=1&src=/vod/index.m3u8", 7)
	second := watch(t, browser, e, 1, "/hls.html?src=/vod/index.m3u8", 15)[0]
	offload(t, e, append(first, second))
	if n := eval[int64](second, "mesh.stats.peerBytes"); n < 100_000 {
		t.Errorf("the second page took %d bytes from the first: that shows nothing", n)
	}
	if eval[bool](second, "levels.at(-1) > 1 || levels.filter((l) => l > 1).length > 1") {
		t.Errorf("the second page's player went through the levels %v", eval[[]int](second, "levels"))
	}
	if n := eval[int](second, "waits"); n > 1 { // one may be that of a busy machine
		t.Errorf("the second page stalled %d times", n)
	}
	second.quiet()
}
