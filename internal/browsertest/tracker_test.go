package browsertest

import (
	"net/url"
	"os"
	"strings"
	"testing"
)

// TestTracker: unmodified p2p-media-loader finds its peers by the edge's own tracker, which is
// strict, as it does by npm's in the same run. VIEWMESH_BESIDE=1 is the long measure, of a live
// stream.
func TestTracker(t *testing.T) {
	modules := npmFolder(t)
	browser := startBrowser(t)
	npm := startTracker(t, modules)
	n, play, stream := number(t, "VIEWMESH_PAGES", 3), seconds(t, 10), "vod"
	if os.Getenv("VIEWMESH_BESIDE") != "" {
		play, stream = seconds(t, 60), "live"
	}
	offload := map[string]float64{}
	for _, by := range []string{"npm", "edge"} {
		t.Run(by, func(t *testing.T) {
			e := startEdge(t, options{site: withPlayers(modules), mesh: "tracker strict"})
			tracker := npm
			if by == "edge" {
				tracker = strings.Replace(e.url("/mesh/tracker"), "http:", "ws:", 1)
			}
			path := "/beside.html?src=/" + stream + "/index.m3u8&by=p2p-media-loader&tracker=" + url.QueryEscape(tracker)
			var all int64
			met := 0
			for _, p := range watch(t, browser, e, n, path, play) {
				v := see(p)
				all += max(v.Peer+v.Origin, v.Handed)
				if v.Neighbor > 0 {
					met++
				}
			}
			if met < n {
				t.Errorf("%d of %d pages have a neighbor", met, n)
			}
			offload[by] = 1 - float64(e.stats().Egress)/float64(all)
		})
	}
	t.Logf("%d pages of p2p-media-loader: the offload is %.3f by the edge's tracker, %.3f by npm's", n, offload["edge"], offload["npm"])
}
