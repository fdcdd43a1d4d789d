package browsertest

import "testing"

// TestPlayers: hls.js, Shaka Player, dash.js and Video.js as npm has them, with
// the worker and with a loader, carry each other as the browser's own player does.
func TestPlayers(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	for name, c := range map[string]struct {
		path string
		play int
		want float64 // of a ceiling of 0.75; in 12 s what a busy machine takes early weighs much
	}{
		"hls.js":              {"/hls.html?src=/live/index.m3u8", 60, 0.70},
		"hls.js with loader":  {"/hls.html?loader&src=/live/index.m3u8", 12, 0.4},
		"Shaka":               {"/shaka.html?src=/live/index.m3u8", 120, 0.70},
		"Shaka with a plugin": {"/shaka.html?loader&src=/live/index.m3u8", 12, 0.4},
		"Shaka with DASH":     {"/shaka.html?src=/live/manifest.mpd", 12, 0.4},
		"dash.js":             {"/dash.html?src=/live/manifest.mpd", 60, 0.70},
		"Video.js":            {"/video.html?src=/live/index.m3u8", 12, 0.4},
		"dash.js with loader": {"/dash.html?loader&src=/live/manifest.mpd", 12, 0.4},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, options{site: withPlayers(players)})
			pages := watch(t, browser, e, 4, c.path, seconds(t, c.play))
			if share := offload(t, e, pages); share < c.want {
				t.Errorf("offload is %.3f", share)
			}
			for _, p := range pages {
				p.quiet()
			}
		})
	}
}
