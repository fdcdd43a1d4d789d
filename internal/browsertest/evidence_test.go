package browsertest

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/internal/ask"
)

// banned is how many peers the edge counts as banned; its site has metrics.
func (e *edge) banned() (n int) {
	e.t.Helper()
	_, body := ask.Do(e.t, http.DefaultClient, "GET", e.url("/metrics"), "")
	for line := range strings.Lines(body) {
		if _, err := fmt.Sscanf(line, "mesh_banned_peers %d", &n); err == nil {
			return n
		}
	}
	e.t.Fatalf("the metrics have no mesh_banned_peers:\n%s", body)
	return 0
}

// TestPageConvicts: a page that a peer in Go gives a wrong chunk has the edge ban it, alone
// and within a minute, and the peers that gave right ones stay.
func TestPageConvicts(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{site: "handle /metrics {\n metrics\n }"})
	u, err := url.Parse(e.url("/live/v0/index.m3u8"))
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 1)
	liar := player.New(player.Config{URL: u, Viewer: viewer.Config{
		HTTP: http.DefaultClient, Log: slog.New(slog.DiscardHandler),
		Tamper: func(data []byte) []byte {
			wrong := bytes.Clone(data)
			wrong[len(wrong)/2] ^= 1
			return wrong
		},
	}})
	go func() { ended <- liar.Run(ctx) }()
	pages := watch(t, browser, e, 2, "/native.html?src=/live/v0/index.m3u8", 3)
	begun := time.Now()
	for e.banned() == 0 {
		if time.Since(begun) > time.Minute {
			t.Fatal("the liar is not banned after a minute")
		}
		time.Sleep(100 * time.Millisecond)
	}
	if n := e.banned(); n != 1 {
		t.Errorf("%d peers are banned, want the liar alone", n)
	}
	pages[0].until("the other page", "mesh.neighbors.length > 0", 30*time.Second) // the liar comes back, and may take
	// The page that plays ahead takes all for both.
	for eval[float64](pages[0], "mesh.stats.peerBytes")+eval[float64](pages[1], "mesh.stats.peerBytes") == 0 {
		if time.Since(begun) > 90*time.Second {
			t.Fatal("the pages give each other nothing")
		}
		time.Sleep(100 * time.Millisecond)
	}
	before := eval[float64](pages[0], "look().played")
	pages[0].until("playing on", fmt.Sprintf("look().played > %f", before+4), 30*time.Second)
	stop()
	<-ended
	player.Close([]*player.Player{liar})
}

// measure has a page make a key, and sign and check as many chunks as it takes for half a
// second. It gives the microseconds of each, beside those of the hash that a chunk costs
// anyhow.
const measure = `(async () => {
	const ed = "Ed25519", data = crypto.getRandomValues(new Uint8Array(65536)), given = data.subarray(0, 110);
	const { privateKey, publicKey } = await crypto.subtle.generateKey(ed, false, ["sign", "verify"]);
	const key = await crypto.subtle.importKey("raw", await crypto.subtle.exportKey("raw", publicKey), ed, false, ["verify"]);
	const signature = await crypto.subtle.sign(ed, privateKey, given);
	if (!(await crypto.subtle.verify(ed, key, signature, given))) throw new Error("it does not verify");
	const each = async (f) => {
		let n = 0;
		const begun = performance.now();
		while (performance.now() - begun < 500) await f(), n++;
		return 1000 * (performance.now() - begun) / n;
	};
	return {
		sign: await each(() => crypto.subtle.sign(ed, privateKey, given)),
		verify: await each(() => crypto.subtle.verify(ed, key, signature, given)),
		hash: await each(() => crypto.subtle.digest("SHA-256", data)),
	};
})()`

// TestSignatureCost logs the share of a page's time that signatures take at 5 Mbit/s, with
// chunks of 64 KiB (those of two-second segments at that rate) and of 16 KiB, the smallest.
// The page verifies every chunk it receives and signs one for each. Operations run one at a
// time, and each includes the hop to a worker thread and back.
func TestSignatureCost(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{})
	p := open(t, browser, "page", e.url("/native.html?src=/live/v0/index.m3u8"))
	us, err := chromedp.Run(p.ctx, chromedp.Evaluate[map[string]float64](measure, chromedp.EvalAwaitPromise))
	if err != nil {
		t.Fatal(err)
	}
	const rate = 5e6 / 8
	for _, size := range []float64{64 << 10, 16 << 10} {
		share := rate / size * (us["sign"] + us["verify"]) / 1e6
		t.Logf("chunks of %.0f KiB: %.2f %% of the time (sign %.0f us, verify %.0f us; SHA-256 of 64 KiB %.0f us)",
			size/1024, 100*share, us["sign"], us["verify"], us["hash"])
	}
}
