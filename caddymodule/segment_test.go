package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/caddymodule"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// origin is an upstream with one playlist at /s/index.m3u8 that lists the
// segments it answers with serve.
type origin struct {
	tags     string
	segments []string
	serve    http.HandlerFunc
}

func (o origin) start(t *testing.T) string {
	return upstream(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = []string{"Thu, 01 Jan 2026 00:00:00 GMT"}
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			w.Header().Set("Content-Type", hlsType)
			_, _ = io.WriteString(w, mediaPlaylist(o.tags, o.segments...))
			return
		}
		o.serve(w, r)
	})
}

// verifier knows the keys of the edge.
func (e *edge) verifier() *tokens.Verifier {
	e.t.Helper()
	return caddymodule.CurrentKeys().Verifier()
}

// statement asks for what is said of a segment; code says why nothing is. A path
// outside of all presentations is the only error among the answers.
func (e *edge) statement(path, more string) (s signal.SegmentStatement, code string) {
	e.t.Helper()
	resp, b := e.get("/mesh/segment?path=" + url.QueryEscape(path) + more)
	if err := json.Unmarshal(b, &s); err != nil {
		e.t.Fatal(err)
	}
	if want := map[bool]int{false: http.StatusOK, true: http.StatusNotFound}[s.Code == "not_listed"]; resp.StatusCode != want || (s.Code == "") != (s.Token != "") {
		e.t.Errorf("statement about %s: %d %s", path, resp.StatusCode, b)
	}
	if s.Token == "" && resp.Header.Get("Cache-Control") != "no-store" {
		e.t.Errorf("that nothing is said of %s may be kept: %q", path, resp.Header.Get("Cache-Control"))
	}
	return s, s.Code
}

// TestSegmentFromUpstream: the first answer carries no token, because its digest
// is not known when the header goes out; GET /mesh/segment then has it, and so
// does the second answer.
func TestSegmentFromUpstream(t *testing.T) {
	body := pattern("segment", 300_000)
	o := origin{segments: []string{"a%20b.ts?q=1", "c.ts"}, serve: func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"1"`)
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	}}
	e := newEdge(t)
	e.load("", "mesh\n reverse_proxy "+o.start(t))

	const path = "/s/a%20b.ts"
	name := path + "?q=1"
	if resp, _ := e.get(path); resp.Header.Get(headerSegment) != "" {
		t.Error("a segment that no playlist has listed has a token")
	}
	if _, code := e.statement(name, ""); code != "not_listed" {
		t.Errorf("statement of a segment that is not listed: %q", code)
	}
	e.swarmOf("/s/index.m3u8")
	if _, code := e.statement(name, ""); code != signal.NotKnown {
		t.Errorf("statement of a segment that nobody has fetched: %q", code)
	}
	if _, code := e.statement(path, ""); code != signal.NotShared {
		t.Errorf("statement of a segment without its query: %q", code)
	}
	first, got := e.get(path + "?q=1")
	if first.Header.Get(headerSegment) != "" || first.Header.Get(headerDigests) != "" || !bytes.Equal(got, body) {
		t.Errorf("first answer: %s %q, %d bytes", headerSegment, first.Header.Get(headerSegment), len(got))
	}
	s, code := e.statement(name, "")
	if code != "" {
		t.Fatalf("statement after the first answer: %q", code)
	}
	checkToken(t, e.verifier(), path, body, s.Token, s.Hashes)
	second, got := e.get(path + "?q=1")
	checkStatement(t, e.verifier(), path, got, second.Header)
	if other, _ := e.get(path + "?q=2"); other.Header.Get(headerSegment) != "" {
		t.Error("by another query, which no playlist has listed, it carries the statement")
	}
	third, _ := e.get(path + "?q=1")
	if third.Header.Get(headerSegment) != second.Header.Get(headerSegment) {
		t.Error("the token is not the same for every viewer")
	}
	egress := currentEdge(t).Stats(e.addr).OriginEgressBytes
	if want := int64(4 * len(body)); egress != want { // the answer before it was listed does not count
		t.Errorf("origin egress is %d bytes, want %d", egress, want)
	}
}

// TestSegmentWithoutLength: a body whose length is known only at its end has a
// statement, and no memory is kept once it has passed, or has proved too large.
func TestSegmentWithoutLength(t *testing.T) {
	body := pattern("chunked", 100_000)
	var parts atomic.Int64
	parts.Store(4)
	o := origin{segments: []string{"seg.ts"}, serve: func(w http.ResponseWriter, r *http.Request) {
		for range parts.Load() {
			_, _ = w.Write(body)
			_ = http.NewResponseController(w).Flush()
		}
		if r.URL.Query().Has("cut") {
			panic(http.ErrAbortHandler)
		}
	}}
	e := newEdge(t)
	e.load("", "mesh\n reverse_proxy "+o.start(t))
	e.get("/s/index.m3u8")
	edge := currentEdge(t)
	resp, got := e.get("/s/seg.ts")
	if resp.ContentLength != -1 || len(got) != 400_000 || resp.Header.Get(headerSegment) != "" {
		t.Errorf("length %d, %d bytes, token %q", resp.ContentLength, len(got), resp.Header.Get(headerSegment))
	}
	var s signal.SegmentStatement
	waitFor(t, func() bool { // the last byte goes out before it is digested
		var code string
		s, code = e.statement("/s/seg.ts", "")
		return code == ""
	})
	checkToken(t, e.verifier(), "/s/seg.ts", got, s.Token, s.Hashes)
	waitFor(t, func() bool { return edge.Numbers().Spooled == 0 })

	parts.Store((8<<20)/int64(len(body)) + 2)
	if _, got := e.get("/s/seg.ts"); int64(len(got)) != parts.Load()*int64(len(body)) {
		t.Errorf("a large body came with %d bytes", len(got))
	}
	waitFor(t, func() bool { return edge.Numbers().Spooled == 0 })
	if again, _ := e.statement("/s/seg.ts", ""); again.Token != s.Token {
		t.Error("the large body changed the statement")
	}
	parts.Store(1)
	if _, _, err := e.try("GET", "/s/seg.ts?cut", ""); err == nil {
		t.Error("a body that was cut came as whole")
	}
	waitFor(t, func() bool { return edge.Numbers().Spooled == 0 })
}

// TestSegmentFromFile: files are digested before the first answer, a changed
// file anew, and a range of one is vouched for as part of the whole.
func TestSegmentFromFile(t *testing.T) {
	dir := vod(t, 2, 200_000)
	e := newEdge(t)
	e.load("", "mesh\n root "+dir+"\n file_server")
	e.swarmOf("/vod/v0/index.m3u8")
	const path = "/vod/v0/seg-0.m4s"
	v := e.verifier()

	first, body := e.get(path)
	checkStatement(t, v, path, body, first.Header)
	part, some := e.get(path, "Range", "bytes=1000-1999")
	if part.StatusCode != http.StatusPartialContent || len(some) != 1000 || part.Header.Get(headerSegment) != first.Header.Get(headerSegment) {
		t.Errorf("range: %d, %d bytes, token %q", part.StatusCode, len(some), part.Header.Get(headerSegment))
	}
	other := "/vod/v0/seg-1.m4s"
	native, all := e.get(other, "Range", "bytes=0-") // as the native player of Chromium asks
	if native.StatusCode != http.StatusPartialContent {
		t.Errorf("range of all: %d", native.StatusCode)
	}
	checkStatement(t, v, other, all, native.Header)

	file := filepath.Join(dir, "vod/v0/seg-0.m4s")
	if err := os.WriteFile(file, pattern("changed", 150_001), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(file, time.Now(), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	changed, body := e.get(path)
	checkStatement(t, v, path, body, changed.Header)
	if changed.Header.Get(headerSegment) == first.Header.Get(headerSegment) {
		t.Error("the token did not change with the file")
	}
	stated := changed.Header.Get(headerSegment)
	if resp, _ := e.do(http.MethodHead, path, ""); resp.Header.Get(headerSegment) != stated || resp.ContentLength != 150_001 {
		t.Errorf("HEAD: %v, %d bytes", resp.Header, resp.ContentLength)
	}
	if resp, _ := e.get(path, "If-None-Match", changed.Header.Get("Etag")); resp.StatusCode != http.StatusNotModified || resp.Header.Get(headerSegment) != stated {
		t.Errorf("conditional request: %d, %v", resp.StatusCode, resp.Header)
	}
}

// TestByteRangeSegments: segments that are ranges of one resource have tokens
// of their own.
func TestByteRangeSegments(t *testing.T) {
	dir := t.TempDir()
	all := pattern("all", 60_000)
	write(t, dir, "s/all.mp4", string(all))
	write(t, dir, "s/index.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"all.mp4\",BYTERANGE=\"1000@0\"\n"+
		"#EXTINF:2,\n#EXT-X-BYTERANGE:20000@1000\nall.mp4\n#EXTINF:2,\n#EXT-X-BYTERANGE:39000\nall.mp4\n#EXT-X-ENDLIST\n")
	e := newEdge(t)
	e.load("", "mesh\n root "+dir+"\n file_server")
	e.swarmOf("/s/index.m3u8")
	for _, r := range [][2]int{{0, 999}, {1000, 20999}, {21000, 59999}} {
		resp, body := e.get("/s/all.mp4", "Range", fmt.Sprintf("bytes=%d-%d", r[0], r[1]))
		if !bytes.Equal(body, all[r[0]:r[1]+1]) {
			t.Fatalf("range %v: %d bytes", r, len(body))
		}
		checkStatement(t, e.verifier(), "/s/all.mp4", body, resp.Header)
		s, err := e.verifier().VerifySegment(resp.Header.Get(headerSegment), time.Now())
		if err != nil || s.Offset != int64(r[0]) {
			t.Errorf("range %v: the token is for offset %d (%v)", r, s.Offset, err)
		}
		st, code := e.statement("/s/all.mp4", fmt.Sprintf("&offset=%d&length=%d", r[0], r[1]-r[0]+1))
		if st.Token == "" || st.Token != resp.Header.Get(headerSegment) {
			t.Errorf("statement of range %v: %q", r, code)
		}
	}
	for _, r := range []string{"", "bytes=0-1500"} {
		if resp, _ := e.get("/s/all.mp4", "Range", r); resp.Header.Get(headerSegment) != "" {
			t.Errorf("range %q, which is no segment, has a token", r)
		}
	}
}

// TestNeverShared: what must not travel gets no token, also on the second
// answer, and no statement.
func TestNeverShared(t *testing.T) {
	set := func(kv ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "5000")
			for i := 0; i < len(kv); i += 2 {
				w.Header().Add(kv[i], kv[i+1])
			}
			_, _ = w.Write(pattern("x", 5000))
		}
	}
	key := "#EXT-X-KEY:METHOD=AES-128,URI=\"seg.ts\""
	for _, c := range []struct {
		name, mesh, tags string
		serve            http.HandlerFunc
		segments         []string
		header           []string // of the requests
		shared           bool
		unlisted         bool // by the catalog
	}{
		{name: "plain", serve: set(), shared: true},
		{name: "public", serve: set("Cache-Control", "public, max-age=60", "Vary", "Accept-Encoding, Origin"), shared: true},
		{name: "cookie", serve: set("Set-Cookie", "a=b")},
		{name: "private", serve: set("Cache-Control", "max-age=3, Private")},
		{name: "no-store", serve: set("Cache-Control", "no-store")},
		{name: "private fields", serve: set("Cache-Control", `private="X-A"`)},
		{name: "private after a semicolon", serve: set("Cache-Control", "max-age=3; private")},
		{name: "private after a space", serve: set("Cache-Control", "max-age=3 no-store")},
		{name: "private for a CDN", serve: set("Cache-Control", "public", "CDN-Cache-Control", "private")},
		{name: "no-store for a surrogate", serve: set("Surrogate-Control", `no-store;origin, content="ESI/1.0"`)},
		{name: "vary by viewer", serve: set("Vary", "X-Viewer")},
		{name: "vary by agent", serve: set("Vary", "Accept-Encoding; User-Agent")},
		{name: "credentials", serve: set(), header: []string{"Authorization", "Basic YTpi"}},
		{name: "credentials, cacheable for a while", serve: set("Cache-Control", "max-age=60"), header: []string{"Authorization", "Basic YTpi"}},
		{name: "credentials, and public", serve: set("Cache-Control", "public"), header: []string{"Authorization", "Basic YTpi"}, shared: true},
		{name: "credentials, and s-maxage", serve: set("Cache-Control", "max-age=0, s-maxage=60"), header: []string{"Authorization", "Basic YTpi"}, shared: true},
		{name: "vary cookie", serve: set("Vary", "accept, COOKIE")},
		{name: "vary authorization", serve: set("Vary", "Authorization")},
		{name: "vary all", serve: set("Vary", "*")},
		{name: "encoded", serve: set("Content-Encoding", "br")},
		{name: "page", serve: set("Content-Type", "text/html; charset=utf-8")},
		{name: "manifest", serve: set("Content-Type", hlsType)},
		{name: "key", tags: key, serve: set(), unlisted: true},
		{name: "two queries", serve: set(), segments: []string{"seg.ts?id=1", "seg.ts?id=2"}, unlisted: true},
		{name: "another host", serve: set(), segments: []string{"http://other.example/s/seg.ts"}, unlisted: true},
		{name: "share none", mesh: "share none", serve: set()},
		{name: "share encrypted_only, in the clear", mesh: "share encrypted_only", serve: set()},
		{name: "share encrypted_only, METHOD=NONE", mesh: "share encrypted_only", tags: "#EXT-X-KEY:METHOD=NONE", serve: set()},
		{name: "share encrypted_only, encrypted", mesh: "share encrypted_only",
			tags: "#EXT-X-KEY:METHOD=SAMPLE-AES,URI=\"skd://k\"", serve: set(), shared: true},
		{name: "excluded", mesh: "exclude path *.ts", serve: set()},
		{name: "excluded, without length", mesh: "exclude path *.ts", serve: func(w http.ResponseWriter, _ *http.Request) {
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(pattern("x", 5000))
		}},
		{name: "excluded others", mesh: "exclude path /ads/*", serve: set(), shared: true},
		{name: "not listed", serve: set(), segments: []string{"other.ts"}, unlisted: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.segments == nil {
				c.segments = []string{"seg.ts"}
			}
			e := newEdge(t)
			e.load("", "mesh {\n"+c.mesh+"\n}\n reverse_proxy "+origin{c.tags, c.segments, c.serve}.start(t))
			e.get("/s/index.m3u8")
			for range 3 {
				e.get("/s/seg.ts", c.header...)
			}
			resp, body := e.get("/s/seg.ts", c.header...)
			_, code := e.statement("/s/seg.ts", "")
			if shared := resp.Header.Get(headerSegment) != ""; shared != c.shared || (code == "") != c.shared {
				t.Errorf("token: %v, statement: %q; want shared: %v", shared, code, c.shared)
			}
			// What is listed and not shared says so, that nobody asks for a statement.
			if refused := resp.Header.Get(headerDigests) == noDigests; refused != (!c.unlisted && !c.shared) {
				t.Errorf("%s is %q, and the statement %q", headerDigests, resp.Header.Get(headerDigests), code)
			}
			if len(body) != 5000 {
				t.Errorf("%d bytes", len(body))
			}
		})
	}
}

// TestOriginTrouble: whatever the upstream does, the player sees just that, as
// without mesh: for a segment that is listed, before and after its digest is
// known.
func TestOriginTrouble(t *testing.T) {
	body := pattern("body", 100_000)
	var mode atomic.Value
	mode.Store("")
	// came is sent to when what the origin has sent has come to the client; the
	// origin waits for that before it sends the rest.
	came := make(chan struct{}, 1)
	var early atomic.Bool
	await := func() {
		select {
		case <-came:
			early.Store(true)
		case <-time.After(5 * time.Second):
		}
	}
	o := origin{segments: []string{"seg.ts"}, serve: func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		switch mode.Load() {
		case "":
			h.Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body)
		case "404":
			http.Error(w, "gone", http.StatusNotFound)
		case "500":
			h.Set("Mesh-Segment", "forged")
			http.Error(w, "broken", http.StatusInternalServerError)
		case "short":
			h.Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body[:30_000])
		case "chunked":
			_, _ = w.Write(body[:50_000])
			_ = http.NewResponseController(w).Flush()
			_, _ = w.Write(body[50_000:])
		case "empty":
			w.WriteHeader(http.StatusNoContent)
		case "slow":
			h.Set("Content-Length", strconv.Itoa(len(body)))
			_, _ = w.Write(body[:10])
			_ = http.NewResponseController(w).Flush()
			await()
			_, _ = w.Write(body[10:])
		case "header first":
			h.Set("Content-Length", strconv.Itoa(len(body)))
			w.WriteHeader(http.StatusOK)
			_ = http.NewResponseController(w).Flush()
			await()
			_, _ = w.Write(body)
		}
	}}
	up := o.start(t)
	look := func(e *edge, m string) seen {
		mode.Store(m)
		early.Store(false)
		resp, err := e.client.Get(e.url("/s/seg.ts"))
		if err != nil {
			return seen{err: errorKind(err)}
		}
		defer resp.Body.Close()
		s := seen{status: resp.StatusCode, length: resp.ContentLength}
		if m == "header first" {
			came <- struct{}{}
			defer drain(came)
		}
		one := make([]byte, 1)
		n, err := io.ReadFull(resp.Body, one)
		if m == "slow" {
			came <- struct{}{}
			defer drain(came)
		}
		var rest []byte
		if err == nil {
			rest, err = io.ReadAll(resp.Body)
		}
		s.body, s.err, s.early = string(one[:n])+string(rest), errorKind(err), early.Load()
		return s
	}
	for _, m := range []string{"404", "500", "short", "chunked", "empty", "slow", "header first"} {
		for _, state := range []string{"digest not known", "digest known"} {
			t.Run(m+", "+state, func(t *testing.T) {
				ask := func(directive string) seen {
					e := newEdge(t)
					e.load("", directive+"\n reverse_proxy "+up+" {\n flush_interval -1\n }")
					e.get("/s/index.m3u8")
					if state == "digest known" {
						mode.Store("")
						e.get("/s/seg.ts")
					}
					return look(e, m)
				}
				with, without := ask("mesh"), ask("")
				if with != without {
					t.Errorf("with mesh: %s\nwithout: %s", with, without)
				}
			})
		}
	}
}

// drain takes a value out of a channel if there is one.
func drain(c chan struct{}) {
	select {
	case <-c:
	default:
	}
}

// seen is an answer as a player sees it.
type seen struct {
	status int
	length int64
	body   string
	err    string
	early  bool // the header, or the first byte, came while the origin waited for that
}

func (s seen) String() string {
	return fmt.Sprintf("status %d, length %d, %d bytes, error %q, early %v",
		s.status, s.length, len(s.body), s.err, s.early)
}

func errorKind(err error) string {
	switch {
	case err == nil, err == io.EOF:
		return ""
	case strings.Contains(err.Error(), "unexpected EOF"):
		return "cut"
	}
	return err.Error()
}
