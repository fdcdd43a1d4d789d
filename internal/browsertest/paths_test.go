package browsertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/caddymodule/turn"
)

// watched has a page keep its connections and its WebSockets, and count what it restarts.
const watched = `
globalThis.pcs = [], globalThis.sockets = [], globalThis.restarts = 0;
globalThis.RTCPeerConnection = class extends RTCPeerConnection {
  constructor(c) {
    super({ ...c, ...globalThis.forced });
    pcs.push(this);
  }
  restartIce() {
    restarts++;
    super.restartIce();
  }
};
globalThis.WebSocket = class extends WebSocket {
  constructor(...a) {
    super(...a);
    sockets.push(this);
  }
};`

// forced has a page's connections go over the relay, as those of a viewer behind a firewall.
const forced = `globalThis.forced = { iceTransportPolicy: "relay" };`

// forgetAllocations has the relay of the edge forget what it was asked for, as one that is
// started again does: nothing passes any more. It returns how many there were.
func forgetAllocations(t *testing.T) (n int) {
	t.Helper()
	ask := func(method, query string) string {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(method, "/mesh/turn/allocations"+query, nil)
		if err := (turn.Admin{}).Routes()[0].Handler.ServeHTTP(w, r); err != nil {
			t.Fatalf("%s %s: %v", method, query, err)
		}
		return w.Body.String()
	}
	var all []struct {
		Relayed string `json:"relayed"`
	}
	if err := json.Unmarshal([]byte(ask(http.MethodGet, "")), &all); err != nil {
		t.Fatal(err)
	}
	for _, a := range all {
		ask(http.MethodDelete, "?relayed="+url.QueryEscape(a.Relayed))
	}
	return len(all)
}

// TestPaths: what browsers do when paths are dear, break and come back. Two pages reach each
// other directly and a third one over the relay alone; a fourth plays a film whose origin
// stands still in an answer.
func TestPaths(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{global: "turn {\n listen udp/127.0.0.1:0\n relay_address 127.0.0.1\n allow_peers 0.0.0.0/0\n }"})
	const live = "/native.html?src=/live/v2/index.m3u8"
	a := open(t, browser, "page a", e.url(live), watched)
	b := open(t, browser, "page b", e.url(live), watched)
	far := open(t, browser, "far page", e.url(live), watched+forced)
	alone := open(t, browser, "page alone", e.url("/native.html?src=/vod/v0/index.m3u8"), watched)
	pages := []*page{a, b, far}

	// An answer stands still, and so does a WebSocket. What comes of it is looked at below.
	const viewer = "[...mesh.viewers.values()][0]"
	alone.until("the film's segments", "globalThis.mesh?.viewers.size && "+viewer+".engine?.list.length > 8 && sockets[0]?.readyState === 1", 40*time.Second)
	resumed.Store(0)
	halting.Store(eval[string](alone, fmt.Sprintf(`globalThis.film = %s, globalThis.last = film.engine.list.at(-1),
		new URL(film.downloads.host.url(film.downloads.host.record(last.id))).pathname`, viewer)))
	eval[bool](alone, `globalThis.came = 0, film.downloads.fetch(last.id, 0n).then(() => (came = 1)), sockets[0].send = () => {}, sockets[0].onmessage = () => {}, true`)

	for _, p := range pages {
		p.until("two neighbors", "globalThis.mesh?.neighbors.length === 2", 40*time.Second)
		p.until("playing", played(20), 60*time.Second)
	}

	// Direct neighbors come first, and what the relay carried is no saving.
	var direct, relayed, all int64
	for _, p := range pages[:2] {
		if n := eval[int](p, "mesh.neighbors.filter((n) => !n.relayed).length"); n != 1 {
			t.Errorf("%s has %d direct neighbors", p.name, n)
		}
		direct += eval[int64](p, "mesh.stats.peerBytes - mesh.stats.relayedBytes")
		relayed += eval[int64](p, "mesh.stats.relayedBytes")
	}
	for _, p := range append(pages, alone) {
		all += eval[int64](p, "mesh.stats.peerBytes + mesh.stats.originBytes")
		if !eval[bool](p, "Math.abs(mesh.stats.saving - (mesh.stats.peerBytes - mesh.stats.relayedBytes) / (mesh.stats.peerBytes + mesh.stats.originBytes)) < 1e-9") {
			t.Errorf("%s: %s", p.name, eval[string](p, "JSON.stringify(mesh.stats)"))
		}
	}
	s := e.stats()
	t.Logf("directly %d, over the relay %d bytes; the edge sent %d and the relay %d of %d: %+v", direct, relayed, s.Egress, s.Up+s.Down, all, s)
	if direct < 2*relayed {
		t.Errorf("of each other the two pages took %d bytes, over the relay %d", direct, relayed)
	}
	if s.Egress+s.Up+s.Down > all {
		t.Errorf("the edge sent %d bytes and its relay %d, and without the mesh it is %d", s.Egress, s.Up+s.Down, all)
	}
	if eval[int64](far, "mesh.stats.relayedBytes") == 0 || eval[int](far, "mesh.neighbors.filter((n) => !n.relayed).length") != 0 {
		t.Errorf("the far page has %s", eval[string](far, "JSON.stringify([mesh.stats, mesh.neighbors])"))
	}

	// The rest of the answer came by another request, and another WebSocket was opened.
	alone.until("the rest of a segment", "came === 1", 20*time.Second)
	if resumed.Load() == 0 || !eval[bool](alone, "last.whole") {
		t.Errorf("%d requests for the rest of a segment came: %s", resumed.Load(), eval[string](alone, "JSON.stringify(mesh.stats)"))
	}
	alone.until("another WebSocket", "sockets.length === 2 && sockets[1].readyState === 1", 20*time.Second)

	// Paths die and come back: the connections are the same, and nobody is barred.
	const kept = "pcs.filter((p) => p.connectionState === 'connected').length === 2"
	shares := func(p *page, what string) {
		t.Helper()
		given := func() int64 { return eval[int64](p, "mesh.stats.peerBytes + mesh.stats.uploadedBytes") }
		for before, end := given(), time.Now().Add(15*time.Second); given() == before; time.Sleep(100 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("%s: %s shares nothing for 15 s: %s", what, p.name, eval[string](p, "JSON.stringify([mesh.stats, mesh.neighbors, pcs.map((p) => p.connectionState)])"))
			}
		}
	}
	made := eval[int](far, "pcs.length")
	if forgetAllocations(t) == 0 {
		t.Fatal("there are no allocations")
	}
	far.until("dead paths", "pcs.some((p) => p.iceConnectionState === 'disconnected')", 40*time.Second)
	far.until("the paths again", kept, 20*time.Second)
	shares(far, "after its paths had died")
	if n := eval[int](far, "pcs.length"); n != made {
		t.Errorf("the far page made %d connections anew", n-made)
	}
	if n := eval[int](a, "restarts") + eval[int](b, "restarts") + eval[int](far, "restarts"); n == 0 {
		t.Error("nobody looked for another path")
	}

	// The network changes: signaling is anew, the paths are, and what failed is forgotten.
	const engine = viewer + ".engine"
	ufrag := `pcs.map((p) => /ice-ufrag:(\S+)/.exec(p.localDescription?.sdp)?.[1]).join()`
	before := eval[string](a, ufrag)
	made = eval[int](a, "pcs.length")
	sockets := eval[int](a, "sockets.length")
	eval[bool](a, engine+`.backoffs.push({ id: "00000000000000aa", until: Infinity, wait: 30e9, slow: true }), dispatchEvent(new Event("online"))`)
	a.until("another WebSocket", fmt.Sprintf("sockets.length === %d && sockets.at(-1).readyState === 1", sockets+1), 10*time.Second)
	a.until("an ICE restart", fmt.Sprintf("%s !== %q", ufrag, before), 10*time.Second)
	a.until("the paths again", kept, 15*time.Second)
	shares(a, "after its network had changed")
	if !eval[bool](a, engine+".backoffs.length === 0 && "+engine+".barred.length === 0 && pcs.length === "+fmt.Sprint(made)) {
		t.Errorf("page a: %s", eval[string](a, "JSON.stringify(["+engine+".backoffs, "+engine+".barred, pcs.length])"))
	}
	for _, p := range append(pages, alone) {
		p.quiet()
	}
}
