package browsertest

import "testing"

// TestPlayers: hls.js and Shaka Player as npm has them, with the worker and with
// a loader, carry each other as the browser's own player does.
func TestPlayers(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	for name, path := range map[string]string{
		"hls.js":              "/hls.html?src=/live/index.m3u8",
		"hls.js with loader":  "/hls.html?loader&src=/live/index.m3u8",
		"Shaka":               "/shaka.html?src=/live/index.m3u8",
		"Shaka with a plugin": "/shaka.html?loader&src=/live/index.m3u8",
	} {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, "", "", withPlayers(players))
			pages := watch(t, browser, e, 3, path, seconds(t, 14))
			if share := offload(t, e, pages); share < 0.3 { // the ceiling is 0.67
				t.Errorf("offload is %.3f", share)
			}
			for _, p := range pages {
				p.quiet()
			}
		})
	}
}
