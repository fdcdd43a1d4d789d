package browsertest

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// html is a page of the site with a head of its own.
const html = `<!doctype html>
<meta charset="utf-8">
<link rel="icon" href="data:,">
<video id="video" muted autoplay playsinline crossorigin="%s" width="320" height="180"></video>
%s
<script type="module">
  import { video, src } from "%s/look.js";
  video.src = src;
  video.play();
</script>`

// made writes a page with a head, and gives the directive that serves it below
// /made/.
func made(t *testing.T, name, head string) (site string) {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil, html, "anonymous", head, ""), 0o644); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("handle_path /made/* {\n root %s\n file_server\n }", dir)
}

// TestConsent: a page that asks first is no viewer of the mesh before the answer,
// and one without starting anew after it.
func TestConsent(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{site: made(t, "ask.html", `<script type="module">
		import { consent } from "/mesh/mesh.js";
		consent(() => new Promise((resolve) => (globalThis.answer = resolve)));
	</script>`)})
	pages := watch(t, browser, e, 2, "/made/ask.html?src=/live/v0/index.m3u8", 3)
	if n := e.stats().Sessions; n != 0 {
		t.Errorf("%d sessions before anyone has agreed", n)
	}
	for _, p := range pages {
		if eval[bool](p, "mesh.running || !!navigator.serviceWorker.controller") {
			t.Errorf("%s: takes part before the viewer has agreed", p.name)
		}
		eval[any](p, `answer("full"), 0`)
	}
	for _, p := range pages {
		p.until("a neighbor", "mesh.neighbors.length === 1", 20*time.Second)
		p.until("bytes to or from it", "mesh.stats.peerBytes + mesh.stats.uploadedBytes > 0", 30*time.Second)
		p.quiet()
	}
	no := open(t, browser, "page that says no", e.url("/made/ask.html?src=/live/v0/index.m3u8"))
	no.until("being asked", "!!globalThis.answer", 20*time.Second)
	eval[any](no, `answer(false), 0`)
	no.until("playing", played(3), 30*time.Second)
	if eval[bool](no, "mesh.running") || e.stats().Sessions != 2 {
		t.Errorf("the viewer has said no, and there are %d sessions", e.stats().Sessions)
	}
	no.quiet()
}

// TestAttributes: data-mesh="off" does nothing; "receive-only" takes and gives
// nothing.
func TestAttributes(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{site: made(t, "off.html", `<script type="module" src="/mesh/mesh.js" data-mesh="off"></script>`) + "\n" +
		fmt.Sprintf("handle /made2/* {\n uri strip_prefix /made2\n %s\n }", made(t, "receive.html", `<script type="module" src="/mesh/mesh.js" data-mesh="receive-only"></script>`))})
	off := watch(t, browser, e, 1, "/made/off.html?src=/live/v0/index.m3u8", 3)[0]
	if s := e.stats(); s.Sessions != 0 || eval[bool](off, "mesh.running || !!navigator.serviceWorker.controller") {
		t.Errorf("off: %+v, %s", s, eval[string](off, "JSON.stringify(mesh.state)"))
	}
	smooth(t, []*page{off})
	giver := watch(t, browser, e, 1, "/native.html?src=/live/v0/index.m3u8", 3)[0]
	taker := open(t, browser, "page that only receives", e.url("/made2/made/receive.html?src=/live/v0/index.m3u8"))
	taker.until("bytes from the other page", "mesh.stats.peerBytes > 0", 40*time.Second)
	taker.until("playing", played(6), 40*time.Second)
	if eval[int](taker, "mesh.stats.uploadedBytes") != 0 || eval[string](taker, "mesh.state.reason") != "receive only" {
		t.Errorf("it only receives, and gave: %s", eval[string](taker, "JSON.stringify(look())"))
	}
	if n := eval[int](giver, "mesh.stats.peerBytes"); n != 0 {
		t.Errorf("the other page had %d bytes from it", n)
	}
	smooth(t, []*page{giver, taker})
}

// TestOtherHost: a site whose pages lie on another host than its streams has a
// worker file of one line, and its pages carry each other; also where the streams
// are for those only who send a cookie, which the player does.
func TestOtherHost(t *testing.T) {
	browser := startBrowser(t)
	for name, c := range map[string]struct{ crossorigin, site string }{
		"plain":   {"anonymous", ""},
		"cookies": {"use-credentials", "header /live/* Access-Control-Allow-Credentials true\n@anonymous {\n path /live/* /mesh/session /mesh/segment\n not method OPTIONS\n not header Cookie *viewer=known*\n }\n rewrite @anonymous /none"},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			host := httptest.NewServer(mux)
			t.Cleanup(host.Close)
			e := startEdge(t, options{mesh: "origins " + host.URL, site: "header /live/* Access-Control-Allow-Origin " + host.URL + "\n" + c.site})
			mux.HandleFunc("/sw.js", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/javascript")
				fmt.Fprintf(w, "importScripts(%q);\n", e.url("/mesh/sw.js"))
			})
			mux.HandleFunc("/page", func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "text/html")
				http.SetCookie(w, &http.Cookie{Name: "viewer", Value: "known", Path: "/"}) // both are 127.0.0.1
				fmt.Fprintf(w, html, c.crossorigin, fmt.Sprintf(`<script type="module" src=%q data-worker="/sw.js"></script>`, e.url("/mesh/mesh.js")), "")
			})
			mux.HandleFunc("/look.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "testdata/look.js") })
			var pages []*page
			for i := range 2 {
				pages = append(pages, open(t, browser, fmt.Sprintf("page %d", i), host.URL+"/page?src="+e.url("/live/index.m3u8")))
			}
			for _, p := range pages {
				p.until("a neighbor", "globalThis.mesh?.neighbors.length === 1", 40*time.Second)
				p.until("bytes to or from it", "mesh.stats.peerBytes + mesh.stats.uploadedBytes > 0", 40*time.Second)
				p.until("playing", played(8), 40*time.Second)
				p.quiet()
			}
			if s := e.stats(); s.Peer == 0 {
				t.Errorf("nothing went from page to page: %+v", s)
			}
		})
	}
}

// TestSiteWorker: a site may have a service worker of its own. It is not replaced;
// once it imports ours and the page names it, it does the mesh's work beside its own.
func TestSiteWorker(t *testing.T) {
	browser := startBrowser(t)
	const (
		worker = `addEventListener("install", () => skipWaiting());
			addEventListener("activate", (e) => e.waitUntil(clients.claim()));
			addEventListener("fetch", (e) => e.request.url.endsWith("/answer") && e.respondWith(new Response("own")));`
		head = `<script type="module">
			const there = new Promise((resolve) => navigator.serviceWorker.addEventListener("controllerchange", resolve));
			await navigator.serviceWorker.register("/own.js");
			await there;
			document.head.append(Object.assign(document.createElement("script"), { type: "module", src: "/mesh/mesh.js", onload: () => mesh.ready.then(() => (globalThis.tried = true)) }));
			%s
		</script>`
		name = `document.querySelector("script[src]").dataset.worker = "/own.js";`
	)
	for what, c := range map[string]struct {
		more, name string
		carries    bool
	}{
		"not named":           {"", "", false},
		"named":               {`importScripts("/mesh/sw.js");`, name, true},
		"named, without ours": {"", name, false},
	} {
		t.Run(what, func(t *testing.T) {
			e := startEdge(t, options{site: made(t, "page.html", fmt.Sprintf(head, c.name)) +
				"\nhandle /own.js {\n header Content-Type text/javascript\n respond `" + worker + c.more + "`\n }"})
			pages := watch(t, browser, e, 2, "/made/page.html?src=/live/index.m3u8", 3)
			for _, p := range pages {
				p.until("the mesh's try", "!!globalThis.tried", 20*time.Second)
				eval[any](p, `fetch("/answer").then((r) => r.text()).then((x) => (globalThis.answer = x)), 0`)
				p.until("the site's worker", `globalThis.answer === "own"`, 10*time.Second)
				if s := eval[string](p, "navigator.serviceWorker.controller.scriptURL"); s != e.url("/own.js") {
					t.Errorf("%s: the worker is %s", p.name, s)
				}
				if c.carries {
					p.until("bytes to or from the other page", "mesh.stats.peerBytes + mesh.stats.uploadedBytes > 0", 40*time.Second)
				}
				p.quiet()
			}
		})
	}
}

// TestLastReport: what a page has carried is known to the edge after it has gone,
// though no report was due.
func TestLastReport(t *testing.T) {
	browser := startBrowser(t)
	e := startEdge(t, options{report: "2m"})
	pages := watch(t, browser, e, 2, "/native.html?src=/live/v0/index.m3u8", 8)
	var peer, origin int64
	for _, p := range pages {
		peer += eval[int64](p, "mesh.stats.peerBytes")
		origin += eval[int64](p, "mesh.stats.originBytes")
	}
	if s := e.stats(); s.Origin != 0 {
		t.Fatalf("reports came before they were due: that shows nothing: %+v", s)
	}
	for _, p := range pages {
		p.leave(e.url("/look.js"))
	}
	s := e.stats()
	for end := time.Now().Add(10 * time.Second); (s.Peer < peer || s.Origin < origin) && time.Now().Before(end); s = e.stats() {
		time.Sleep(100 * time.Millisecond)
	}
	if s.Peer < peer || s.Origin < origin || peer == 0 {
		t.Errorf("the pages had %d bytes from peers and %d from the origin; the edge knows %+v", peer, origin, s)
	}
}
