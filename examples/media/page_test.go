package media_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/media"
	"github.com/viewmesh/viewmesh/internal/chromium"
)

const noStats = `{"sessions":0,"swarms":[],"peer_bytes":0,"origin_bytes":0,"relayed_bytes":0,"offload":0,"saving":0,"origin_egress_bytes":0}`

// standIn is a page's mesh that is ready and has two neighbors, in the place of the edge's module. It notes how long the
// first figure takes to fill its bar.
const standIn = `
const neighbors = [{ peer: "a", received: 1e6, given: 5e5, relayed: false }, { peer: "b", received: 0, given: 2e6, relayed: true }];
globalThis.mesh = Object.assign(new EventTarget(), { ready: Promise.resolve(), neighbors, stats: { peerBytes: 1e6, originBytes: 2e6, uploadedBytes: 25e5 } });
setInterval(() => mesh.dispatchEvent(new Event("stats")), 300);
const bar = document.getElementById("split-peers");
new MutationObserver(() => (globalThis.filling ??= getComputedStyle(bar).transitionDuration)).observe(bar, { attributes: true });`

// growingStats is an edge whose viewers take three of four bytes from each other.
func growingStats() http.HandlerFunc {
	var polls atomic.Int64
	return func(w http.ResponseWriter, _ *http.Request) {
		n := polls.Add(1) * 1_000_000
		traffic := fmt.Sprintf(`"peer_bytes":%d,"origin_bytes":%d,"relayed_bytes":%d,"offload":0.75,"saving":0.7`, 3*n, n, n/5)
		fmt.Fprintf(w, `{"sessions":4,"swarms":[{"swarm":"x","presentation":"/live/","peers":4,%s}],"origin_egress_bytes":%d,%s}`, traffic, n, traffic)
	}
}

func TestPage(t *testing.T) {
	browser := chromium.Start(t, "the demo page works")
	tests := []struct {
		name  string
		stats http.HandlerFunc
		shows string // a JavaScript expression that becomes true
		quiet bool   // nothing on the console
	}{
		{"numbers", growingStats(),
			`text("state") === "4 viewers in the mesh" && text("saving") === "70\u00a0%" &&
			 text("peer-bytes").endsWith("MB") && text("sessions") === "4" &&
			 document.getElementById("split-peers").style.width === "75%" && filling === "0s" &&
			 document.querySelector("#swarms td").textContent === "/live/" &&
			 document.querySelectorAll("#chart polygon").length === 2 &&
			 !document.getElementById("mesh-panel").hidden && document.querySelectorAll("#web circle").length === 3 &&
			 text("own").startsWith("This page took 1.0")`, true},
		{"nobody there", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, noStats) },
			`text("state") === "No viewer in the mesh yet" && text("saving") === "–" &&
			 text("chart").includes("start some") && document.getElementById("swarms").hidden`, true},
		{"no numbers", http.NotFound,
			`text("state") === "Numbers are off" && text("chart").includes("playback does not need them")`, false},
		{"broken numbers", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
			`text("state") === "Edge does not answer"`, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			origin, err := live.New(live.Config{})
			if err != nil {
				t.Fatal(err)
			}
			mux := http.NewServeMux()
			mux.Handle("/live/", http.StripPrefix("/live", origin))
			mux.Handle("/vod/", http.StripPrefix("/vod/", http.FileServerFS(media.Sample())))
			mux.HandleFunc("/mesh/stats", tt.stats)
			mux.HandleFunc("/mesh/mesh.js", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/javascript")
				fmt.Fprint(w, standIn)
			})
			page := http.FileServerFS(os.DirFS("www"))
			mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
				// Whatever the page would ask of another host, or write into itself, is an error on the console.
				w.Header().Set("Content-Security-Policy", "default-src 'self'; media-src 'self' blob:")
				page.ServeHTTP(w, r)
			})
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)

			tab, closeTab := chromedp.NewContext(browser)
			defer closeTab()
			complaints := chromium.Complaints(tab)
			// A phone's width; nothing may stick out.
			if err := chromedp.Do(tab, chromedp.EmulateViewport(390, 844), chromedp.Navigate(server.URL+"/")); err != nil {
				t.Fatal(err)
			}
			wait(t, tab, "the numbers", `(text => `+tt.shows+`)(id => document.getElementById(id).textContent)`)
			// With HLS of its own the browser plays; without, it says what to do.
			wait(t, tab, "the player", `(v => v.canPlayType("application/vnd.apple.mpegurl")
				? v.currentTime > 0.5 && v.videoWidth > 0 && document.getElementById("notice").hidden
				: document.getElementById("notice").textContent.includes("hls.js"))(document.getElementById("video"))`)
			wide, err := chromedp.Run(tab, chromedp.Evaluate[int](`document.documentElement.scrollWidth`))
			if err != nil || wide > 390 {
				t.Errorf("the page is %d px wide on a phone of 390, %v", wide, err)
			}
			if lines := complaints(); tt.quiet && len(lines) > 0 {
				t.Errorf("the console says %q", lines)
			}
		})
	}
}

// wait waits until a JavaScript expression is true.
func wait(t *testing.T, tab context.Context, what, expression string) {
	t.Helper()
	if _, err := chromedp.Run(tab, chromedp.Poll[bool](expression, chromedp.WithPollingInterval(100*time.Millisecond))); err != nil {
		now, _ := chromedp.Run(tab, chromedp.Evaluate[string](`document.body.innerText`))
		t.Fatalf("%s did not come: %v; the page says:\n%s", what, err, now)
	}
}
