package browsertest

import (
	"fmt"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

// poison has a page change a byte of each chunk that it gives, and sign what it gives.
const poison = `(() => {
	for (const v of mesh.viewers.values()) {
		const c = v.connections, send = c.sendChunk.bind(c), { key, swarm } = v.session, text = new TextEncoder();
		c.sendChunk = async (peer, segment, index, data, signature, sent) => {
			const changed = data.slice();
			changed[changed.length >> 1] ^= 1;
			const entry = v.store.entries.get(segment), hash = new Uint8Array(await crypto.subtle.digest("SHA-256", changed));
			const proof = Object.values(entry).find((x) => x?.token && x.hashes), id = segment.match(/../g).map((x) => parseInt(x, 16));
			const signed = new Uint8Array([...text.encode("mesh chunk given\n"), ...id, ...proof.root, index, ...hash, ...text.encode(swarm)]);
			send(peer, segment, index, changed, new Uint8Array(await crypto.subtle.sign("Ed25519", key, signed)), sent);
		};
	}
	return mesh.viewers.size;
})()`

// TestPolluter: what a lying page gives is not played, it is dropped, and the edge bans it,
// and it alone.
func TestPolluter(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{site: "handle /metrics {\n metrics\n }"})
	pages := watch(t, browser, e, 3, "/native.html?src=/live/v0/index.m3u8", 3)
	// Who reloads the playlist late hardly ever gives: the liar is to be one who does.
	given := func(p *page) int64 { return eval[int64](p, "mesh.stats.uploadedBytes") }
	before := make([]int64, len(pages))
	for i, p := range pages {
		before[i] = given(p)
	}
	for _, p := range pages {
		p.until("playing on", played(11), 30*time.Second)
	}
	most := 0
	for i, p := range pages {
		before[i] = given(p) - before[i]
		if before[i] > before[most] {
			most = i
		}
	}
	pages[0], pages[most] = pages[most], pages[0]
	if n := eval[int](pages[0], poison); n != 1 {
		t.Fatalf("%d viewers in a page", n)
	}
	liar := eval[string](pages[0], `[...mesh.viewers.values()][0].session.peer`)
	for _, p := range pages[1:] {
		p.until("the liar being dropped", fmt.Sprintf(`!mesh.neighbors.some((n) => n.peer === %q)`, liar), 30*time.Second)
	}
	if n := e.banned(); n != 1 {
		t.Errorf("%d peers are banned, want the liar", n)
	}
	bad := eval[int](pages[1], "mesh.stats.badChunks") + eval[int](pages[2], "mesh.stats.badChunks")
	if bad == 0 {
		t.Error("nothing bad was seen: that shows nothing")
	}
	for _, p := range pages[1:] {
		before := eval[float64](p, "look().played")
		p.until("playing on", fmt.Sprintf("look().played > %f", before+6), 30*time.Second)
		same, err := chromedp.Run(p.ctx, chromedp.Evaluate[map[string]int](`compare("/live/v0/index.m3u8")`, chromedp.EvalAwaitPromise))
		if err != nil || same["different"] != 0 || same["equal"] < 10 {
			t.Errorf("bytes that the worker gave, beside the origin's: %v, %v", same, err)
		}
		p.quiet()
	}
}

// TestRelayOnly: no page learns the address of another.
func TestRelayOnly(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{
		global: "turn {\n listen udp/127.0.0.1:0\n relay_address 127.0.0.1\n allow_peers 127.0.0.0/8\n }",
		mesh:   "relay_only",
	})
	pages := watch(t, browser, e, 2, "/native.html?src=/live/v0/index.m3u8", 10)
	for _, p := range pages {
		p.until("relayed bytes", "mesh.stats.relayedBytes > 0 || mesh.stats.uploadedBytes > 0", 30*time.Second)
		if s := eval[string](p, "JSON.stringify(mesh.neighbors.filter((n) => !n.relayed))"); s != "[]" {
			t.Errorf("%s has neighbors that are not relayed: %s", p.name, s)
		}
		p.quiet()
	}
	offload(t, e, pages)
}
