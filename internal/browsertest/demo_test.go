package browsertest

import (
	"os"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// TestStartPage: the demo's start page is a viewer of the mesh, and draws whom it
// is connected with. VIEWMESH_SHOT names a file for a picture of it.
func TestStartPage(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	pages := []*page{open(t, browser, "page 0", e.url("/demo/")), open(t, browser, "page 1", e.url("/demo/"))}
	for _, p := range pages {
		p.until("the picture of the mesh", `!document.getElementById("mesh-panel").hidden && document.querySelectorAll("#web circle").length === 2`, 30*time.Second)
		p.until("bytes from the other page", `mesh.stats.peerBytes > 0 || mesh.stats.uploadedBytes > 0`, 30*time.Second)
		p.until("playing", `document.getElementById("video").currentTime > 3`, 30*time.Second)
		p.quiet()
	}
	if file := os.Getenv("VIEWMESH_SHOT"); file != "" {
		shot, err := chromedp.Run(pages[0].ctx, chromedp.FullScreenshot(100))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, shot, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
