package caddymodule_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// packager is an upstream that makes a low-latency stream: the test says what its
// playlist lists, and when a part that is asked for before it is complete is.
type packager struct {
	mu       sync.Mutex
	playlist string
	parts    map[string]chan struct{} // closed when a part is complete
	asked    chan string              // parts, as they are asked for
	chunked  bool
}

func (p *packager) list(text string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.playlist = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-SERVER-CONTROL:CAN-BLOCK-RELOAD=YES,CAN-SKIP-UNTIL=12\n#EXT-X-PART-INF:PART-TARGET=0.5\n" +
		"#EXTINF:2,\nseg-0.m4s\n" + text
}

func (p *packager) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	playlist, complete := p.playlist, p.parts[r.URL.Path]
	p.mu.Unlock()
	if strings.HasSuffix(r.URL.Path, ".m3u8") {
		w.Header().Set("Content-Type", hlsType)
		_, _ = io.WriteString(w, playlist)
		return
	}
	body := pattern(r.URL.Path, 40_000)
	w.Header().Set("Etag", `"1"`)
	if complete != nil {
		p.asked <- r.URL.Path
		<-complete
	}
	if at, ok := strings.CutPrefix(r.Header.Get("Range"), "bytes="); ok { // of a segment that grows
		from, to, _ := strings.Cut(at, "-")
		a, _ := strconv.Atoi(from)
		b, _ := strconv.Atoi(to)
		body = body[a : b+1]
		w.Header().Set("Content-Range", "bytes "+at+"/*")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		w.WriteHeader(http.StatusPartialContent)
		_, _ = w.Write(body)
		return
	}
	if !p.chunked {
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	}
	_, _ = w.Write(body)
	_ = http.NewResponseController(w).Flush()
}

// TestHintedPart: a part that is asked for on a hint, and is complete later, comes
// without a token, and without a statement until a playlist lists it; then it has
// both. Another hint that comes to nothing has neither.
func TestHintedPart(t *testing.T) {
	for _, chunked := range []bool{false, true} {
		t.Run(fmt.Sprintf("chunked %v", chunked), func(t *testing.T) {
			complete := make(chan struct{})
			p := &packager{asked: make(chan string, 1), chunked: chunked, parts: map[string]chan struct{}{"/s/seg-1.1.m4s": complete}}
			const first = "#EXT-X-PART:DURATION=0.5,URI=\"seg-1.0.m4s\",INDEPENDENT=YES\n"
			p.list(first + "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-1.1.m4s\"\n")
			e := newEdge(t)
			e.load("", "mesh\n reverse_proxy "+upstream(t, p.ServeHTTP))
			const listed, hinted = "/s/seg-1.0.m4s", "/s/seg-1.1.m4s"
			e.get("/s/index.m3u8?_HLS_msn=1&_HLS_part=0")

			e.get(listed)
			var code string
			waitFor(t, func() bool { _, code = e.statement(listed, ""); return code == "" })
			resp, body := e.get(listed)
			if !chunked { // without its length a body is known by its statement only
				checkStatement(t, e.verifier(), listed, body, resp.Header)
			}

			type answer struct {
				resp *http.Response
				body []byte
			}
			came := make(chan answer)
			go func() {
				resp, body := e.get(hinted)
				came <- answer{resp, body}
			}()
			<-p.asked
			if _, code := e.statement(hinted, ""); code != signal.NotKnown {
				t.Errorf("statement of a part that is not complete: %q", code)
			}
			close(complete)
			got := <-came
			if got.resp.Header.Get(headerSegment) != "" || !bytes.Equal(got.body, pattern(hinted, 40_000)) {
				t.Errorf("the hinted part has the token %q, %d bytes", got.resp.Header.Get(headerSegment), len(got.body))
			}
			if _, code := e.statement(hinted, ""); code != signal.NotKnown {
				t.Errorf("statement of a part that no playlist lists: %q", code)
			}
			p.list(first + "#EXT-X-PART:DURATION=0.5,URI=\"seg-1.1.m4s\"\n#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"other.m4s\"\n")
			e.get("/s/index.m3u8?_HLS_msn=1&_HLS_part=1")
			waitFor(t, func() bool { // it was digested when it passed: nobody asks the origin again
				s, code := e.statement(hinted, "")
				if code == "" {
					checkToken(t, e.verifier(), hinted, got.body, s.Token, s.Hashes)
				}
				return code == ""
			})
			e.get("/s/other.m4s")
			p.list(first + "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"third.m4s\"\n")
			e.get("/s/index.m3u8")
			if resp, _ := e.get("/s/other.m4s"); resp.Header.Get(headerSegment) != "" {
				t.Error("what a hint named and no playlist listed has a token")
			}
			if _, code := e.statement("/s/other.m4s", ""); code != signal.NotKnown {
				t.Errorf("its statement is answered with %q", code)
			}
		})
	}
}

// TestPartRanges: parts that are ranges of a segment have tokens of their own:
// while the segment grows and its size is not known, and once it is listed, too.
func TestPartRanges(t *testing.T) {
	p := &packager{}
	const parts = "#EXT-X-PART:DURATION=1,URI=\"seg-1.m4s\",BYTERANGE=\"100@0\"\n#EXT-X-PART:DURATION=1,URI=\"seg-1.m4s\",BYTERANGE=\"20000\"\n"
	const hint = "#EXT-X-PRELOAD-HINT:TYPE=PART,URI=\"seg-1.m4s\",BYTERANGE-START=20100,BYTERANGE-LENGTH=5000\n"
	const path = "/s/seg-1.m4s"
	e := newEdge(t)
	e.load("", "mesh\n reverse_proxy "+upstream(t, p.ServeHTTP))
	for i, text := range []string{parts + hint, parts + "#EXTINF:2,\nseg-1.m4s\n"} {
		p.list(text)
		e.get("/s/index.m3u8")
		for range 2 {
			e.get(path, "Range", "bytes=100-20099")
		}
		resp, body := e.get(path, "Range", "bytes=100-20099")
		if !bytes.Equal(body, pattern(path, 40_000)[100:20_100]) {
			t.Fatalf("version %d: %d bytes", i, len(body))
		}
		checkStatement(t, e.verifier(), path, body, resp.Header)
		if s, err := e.verifier().VerifySegment(resp.Header.Get(headerSegment), runtimeNow()); err != nil || s.Offset != 100 || s.Size != 20_000 {
			t.Errorf("version %d: the token is for %d bytes at %d (%v)", i, s.Size, s.Offset, err)
		}
		e.get(path, "Range", "bytes=20100-25099")
		if resp, _ := e.get(path, "Range", "bytes=20100-25099"); resp.Header.Get(headerSegment) != "" {
			t.Errorf("version %d: a range that is not listed has a token", i)
		}
	}
}

// TestDeltaUpdate: an update that leaves out what is old adds parts to what is
// shared; but not where nobody has loaded the playlist in full, or where it is not
// seen in it whether they are of an ad.
func TestDeltaUpdate(t *testing.T) {
	const part = "#EXT-X-PART:DURATION=0.5,URI=\"%s\"\n"
	delta := func(name string) string {
		return "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-SKIP:SKIPPED-SEGMENTS=3\n#EXTINF:2,\nseg-3.m4s\n" + fmt.Sprintf(part, name)
	}
	p := &packager{}
	e := newEdge(t)
	e.load("", "mesh {\n ads origin_only\n }\n reverse_proxy "+upstream(t, p.ServeHTTP))
	shared := func(path string) bool {
		e.get(path)
		resp, _ := e.get(path)
		return resp.Header.Get(headerSegment) != ""
	}
	load := func(text string) {
		p.mu.Lock()
		p.playlist = text
		p.mu.Unlock()
		e.get("/s/index.m3u8")
	}
	load(delta("a.m4s"))
	if shared("/s/a.m4s") {
		t.Error("a part is shared of a playlist that nobody has loaded in full")
	}
	p.list("")
	e.get("/s/index.m3u8")
	load(delta("b.m4s"))
	if !shared("/s/b.m4s") || !shared("/s/seg-3.m4s") || !shared("/s/seg-0.m4s") {
		t.Error("what a delta update lists, or leaves out, is not shared")
	}
	p.list("#EXT-X-CUE-OUT:30\n#EXTINF:2,\nad.m4s\n")
	e.get("/s/index.m3u8")
	load(delta("c.m4s"))
	if shared("/s/c.m4s") || shared("/s/ad.m4s") || !shared("/s/b.m4s") || !shared("/s/seg-3.m4s") {
		t.Error("what may be of an ad is shared, or what was listed before is not any more")
	}
}

// TestVariables: a segment whose name a variable of the multivariant playlist makes
// up is shared under the name that viewers ask for.
func TestVariables(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "s/index.m3u8", "#EXTM3U\n#EXT-X-DEFINE:NAME=\"kind\",VALUE=\"seg\"\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0/index.m3u8\n")
	write(t, dir, "s/v0/index.m3u8", mediaPlaylist("#EXT-X-DEFINE:IMPORT=\"kind\"", "{$kind}-0.m4s"))
	write(t, dir, "s/v0/seg-0.m4s", string(pattern("seg", 9000)))
	e := newEdge(t)
	e.load("", "mesh\n root "+dir+"\n file_server")
	e.get("/s/index.m3u8")
	e.get("/s/v0/index.m3u8")
	resp, body := e.get("/s/v0/seg-0.m4s")
	checkStatement(t, e.verifier(), "/s/v0/seg-0.m4s", body, resp.Header)
}
