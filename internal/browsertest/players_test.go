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
