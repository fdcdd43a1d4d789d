package browsertest

import (
	"testing"
	"time"
)

// TestLowLatency: pages whose player plays the parts of a low-latency stream give
// each other these, whether they have names of their own or are ranges of a
// segment that grows. Players keep 3 s from the end, so that a busy machine does
// not stall them. A part with a name is fetched when a playlist hints at it.
func TestLowLatency(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	for name, c := range map[string]struct {
		path, live string
		want       float64 // of a ceiling of 0.67
	}{
		"hls.js":             {"/hls.html?src=/live/index.m3u8", "", 0.3},
		"hls.js with loader": {"/hls.html?loader&src=/live/index.m3u8", "part_ranges", 0.3},
		// It asks for each part that a playlist hints at. It halts at each segment, also
		// without the mesh, and so the pages come to play different renditions.
		"Shaka": {"/shaka.html?src=/live/index.m3u8", "", 0.25},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, options{site: withPlayers(players), live: "part 500ms\npart_hold_back 3s\n" + c.live})
			pages := watch(t, browser, e, 3, c.path, seconds(t, 30))
			if c.live == "" {
				// Whose turn it is fetches the part that comes next, before it is listed.
				pages[0].until("a part on a hint", "[...mesh.viewers.values()].some((v) => v.downloads.hinted.size > 0)", 30*time.Second)
			}
			low := 0
			for _, p := range pages {
				whole := eval[int](p, "[...[...mesh.viewers.values()][0].presentation.active.values()].filter((m) => !m.parts).length")
				behind := eval[float64](p, "behind()")
				t.Logf("%s is %.1f s behind live and plays whole segments of %d playlists", p.name, behind, whole)
				switch {
				case whole == 0:
					low++
				case behind < 6:
					t.Errorf("%s plays whole segments near the live edge", p.name)
				}
			}
			// One that a busy machine stalled goes on far from the live edge, where
			// there are no parts.
			if low < 2 {
				t.Errorf("%d of %d pages play parts", low, len(pages))
			}
			if share := offload(t, e, pages); share < c.want {
				t.Errorf("offload is %.3f", share)
			}
			for _, p := range pages {
				p.quiet()
			}
		})
	}
}
