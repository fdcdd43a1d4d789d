package gateway

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is an origin, with a mesh that refuses everybody.
type stage struct {
	mu     sync.Mutex
	asked  map[string]int
	server *httptest.Server
	limit  int    // bytes/s of a segment, 0 for none
	low    string // the playlist of rendition low
	// The first answer for a path that is here breaks off in the middle; the next ones
	// have these bytes.
	second map[string][]byte
}

const bootstrap = `v=1, session="/mesh/session", swarm="s"`

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.asked[r.URL.Path]++
	asked := s.asked[r.URL.Path]
	s.mu.Unlock()
	switch second := s.second[r.URL.Path]; {
	case second != nil && asked == 1:
		first := contentOf(r.URL.Path)
		w.Header().Set("Content-Length", strconv.Itoa(len(first)))
		_, _ = w.Write(first[:len(first)/2])
		panic(http.ErrAbortHandler)
	case second != nil:
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(second))
	case r.URL.Path == "/mesh/session":
		w.WriteHeader(http.StatusForbidden)
	case r.URL.Path == "/show/index.m3u8":
		w.Header().Set("Mesh-Bootstrap", bootstrap)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader("#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0/index.m3u8\n"+
			"#EXT-X-STREAM-INF:BANDWIDTH=2\n"+s.server.URL+"/show/v1/index.m3u8\n"))
	case r.URL.Path == "/show/low/index.m3u8":
		w.Header().Set("Mesh-Bootstrap", bootstrap)
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(s.low))
	case strings.HasSuffix(r.URL.Path, "/index.m3u8"):
		w.Header().Set("Mesh-Bootstrap", bootstrap)
		text := "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-MAP:URI=\"init.mp4\"\n"
		for i := range 30 {
			text += fmt.Sprintf("#EXTINF:2,\nseg-%d.m4s?q=%d\n", i, i)
		}
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(text+"#EXTINF:2,\n#EXT-X-BYTERANGE:10@5\nall.mp4\n#EXT-X-ENDLIST\n"))
	case strings.HasSuffix(r.URL.Path, "moved"):
		http.Redirect(w, r, s.server.URL+"/show/index.m3u8", http.StatusFound)
	default:
		w.Header().Set("Content-Type", "video/iso.segment")
		w.Header().Set("ETag", `"e"`)
		http.ServeContent(&limited{w, s.limit}, r, "", time.Time{}, bytes.NewReader(contentOf(r.URL.Path)))
	}
}

// limited is a response that is sent no faster than at a rate.
type limited struct {
	http.ResponseWriter
	rate int // bytes/s, 0 for no limit
}

func (l *limited) Write(p []byte) (int, error) {
	for sent := 0; l.rate > 0 && sent < len(p); {
		n := min(len(p)-sent, l.rate/50)
		time.Sleep(time.Second * time.Duration(n) / time.Duration(l.rate))
		if _, err := l.ResponseWriter.Write(p[sent : sent+n]); err != nil {
			return sent, err
		}
		sent += n
		if sent == len(p) {
			return sent, nil
		}
	}
	return l.ResponseWriter.Write(p)
}

func (s *stage) count(path string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked[path]
}

func contentOf(path string) []byte { return bytes.Repeat([]byte(path), 2000) }

func open(t *testing.T) (*stage, *Gateway, string, *http.Client) {
	t.Helper()
	s := &stage{asked: map[string]int{}}
	s.server = httptest.NewServer(s)
	t.Cleanup(s.server.Close)
	origin, err := url.Parse(s.server.URL)
	if err != nil {
		t.Fatal(err)
	}
	g := New(Config{Origin: origin, Viewer: viewer.Config{HTTP: s.server.Client(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}})
	front := httptest.NewServer(g)
	t.Cleanup(func() {
		front.Close()
		g.Close()
	})
	return s, g, front.URL, front.Client()
}

func get(t *testing.T, client *http.Client, url string, header ...string) (*http.Response, string) {
	t.Helper()
	return ask.Do(t, client, http.MethodGet, url, "", header...)
}

// TestNames: the gateway stands where the origin names itself, and nothing else
// of a playlist changes.
func TestNames(t *testing.T) {
	s, _, url, client := open(t)
	_, direct := get(t, client, s.server.URL+"/show/index.m3u8")
	for _, header := range [][]string{nil, {"Range", "bytes=0-"}} {
		resp, through := get(t, client, url+"/show/index.m3u8", header...)
		if want := strings.ReplaceAll(direct, s.server.URL, url); through != want || resp.ContentLength != int64(len(want)) {
			t.Errorf("%q, want %q", through, want)
		}
	}
	_, direct = get(t, client, s.server.URL+"/show/v0/index.m3u8")
	if _, through := get(t, client, url+"/show/v0/index.m3u8"); through != direct {
		t.Error("a playlist without absolute URLs was changed")
	}
	if resp, _ := get(t, client, url+"/moved"); resp.Request.URL.String() != url+"/show/index.m3u8" {
		t.Errorf("a redirect leads to %v", resp.Request.URL)
	}
}

// TestSegments: segments come once from the origin however often they are asked
// for, in full and in ranges; init sections, other things and conditional
// requests are the origin's.
func TestSegments(t *testing.T) {
	s, g, url, client := open(t)
	for range 2 {
		get(t, client, url+"/show/index.m3u8")
		get(t, client, url+"/show/v0/index.m3u8")
	}
	const path = "/show/v0/seg-3.m4s"
	want := string(contentOf(path))
	if resp, body := get(t, client, url+path+"?q=3"); resp.StatusCode != 200 || body != want ||
		resp.Header.Get("Content-Type") != "video/iso.segment" || resp.Header.Get("ETag") != `"e"` {
		t.Errorf("%v with %d bytes, header %v", resp.Status, len(body), resp.Header)
	}
	if resp, body := get(t, client, url+path+"?q=3", "Range", "bytes=0-"); resp.StatusCode != 206 || body != want ||
		resp.Header.Get("Content-Range") != fmt.Sprintf("bytes 0-%d/%d", len(want)-1, len(want)) {
		t.Errorf("bytes=0-: %v with %d bytes, %v", resp.Status, len(body), resp.Header)
	}
	if _, body := get(t, client, url+path+"?q=3", "Range", "bytes=-7"); body != want[len(want)-7:] {
		t.Errorf("the last 7 bytes are %q", body)
	}
	if n := s.count(path); n != 1 {
		t.Errorf("the origin was asked %d times", n)
	}
	if resp, _ := get(t, client, url+path+"?q=3", "If-None-Match", `"e"`); resp.StatusCode != 304 || s.count(path) != 2 {
		t.Errorf("a conditional request: %v", resp.Status)
	}
	if _, body := get(t, client, url+path+"?q=4"); body != want || s.count(path) != 3 {
		t.Error("another query is another resource, which is the origin's")
	}
	if resp, body := get(t, client, url+"/show/v0/all.mp4", "Range", "bytes=5-14"); resp.StatusCode != 206 || body != string(contentOf("/show/v0/all.mp4")[5:15]) {
		t.Errorf("a byte range of the playlist: %v %q", resp.Status, body)
	}
	before := g.Stats().OriginBytes
	_, init := get(t, client, url+"/show/v0/init.mp4")
	get(t, client, url+"/show/v0/init.mp4")
	if got := g.Stats().OriginBytes - before; got < int64(2*len(init)) {
		t.Errorf("two init sections count as %d bytes of the origin, want %d", got, 2*len(init))
	}
}

// TestSecondAnswer: when the origin's answer breaks off and the next one is of another
// version, the player gets no mix of both, but a body that breaks off.
func TestSecondAnswer(t *testing.T) {
	s, _, url, client := open(t)
	const same, other = "/show/v0/seg-3.m4s", "/show/v0/seg-4.m4s"
	s.second = map[string][]byte{same: contentOf(same), other: bytes.ToUpper(contentOf(other))}
	get(t, client, url+"/show/index.m3u8")
	get(t, client, url+"/show/v0/index.m3u8")
	if _, body := get(t, client, url+same+"?q=3"); body != string(contentOf(same)) {
		t.Errorf("the same bytes: %d come", len(body))
	}
	resp, err := client.Get(url + other + "?q=4")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if first, second := contentOf(other), s.second[other]; !bytes.HasPrefix(first, body) && !bytes.Equal(second, body) {
		t.Errorf("a mix of %d bytes comes, then %v", len(body), err)
	}
}

// TestPlayhead: what is asked for says where the player is.
func TestPlayhead(t *testing.T) {
	_, g, url, client := open(t)
	get(t, client, url+"/show/index.m3u8")
	get(t, client, url+"/show/v0/index.m3u8")
	get(t, client, url+"/show/v1/index.m3u8")
	at := func() (pos, asked time.Duration, playing bool, rendition string) {
		g.mu.Lock()
		defer g.mu.Unlock()
		for s := range g.shows {
			return s.position(time.Now()), s.asked, s.playing, s.active()[0].path
		}
		t.Fatal("there is no show")
		return
	}
	ask := func(rendition string, n int) {
		get(t, client, fmt.Sprintf("%s/show/%s/seg-%d.m4s?q=%d", url, rendition, n, n))
	}
	near := func(got, want time.Duration) bool { return got >= want && got < want+1500*time.Millisecond }
	for _, c := range []struct {
		rendition  string
		n          int
		pos, asked time.Duration
		what       string
	}{
		{"v0", 2, 4 * time.Second, 6 * time.Second, "it begins"},
		{"v0", 3, 4 * time.Second, 8 * time.Second, "it goes on"},
		{"v1", 4, 4 * time.Second, 10 * time.Second, "it switches"},
		{"v1", 20, 40 * time.Second, 42 * time.Second, "it jumps ahead"},
		{"v1", 1, 2 * time.Second, 4 * time.Second, "it jumps back"},
	} {
		ask(c.rendition, c.n)
		pos, asked, playing, rendition := at()
		if !near(pos, c.pos) || asked != c.asked || !playing || rendition != "/show/"+c.rendition+"/index.m3u8" {
			t.Errorf("%s: at %v of %v, playing %v, %s", c.what, pos, asked, playing, rendition)
		}
	}
	for end := time.Now().Add(10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		pos, asked, playing, _ := at()
		if !playing && pos == asked {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("it does not stand still at the end of what was asked for: %v of %v, playing %v", pos, asked, playing)
		}
	}
	if n := len(g.shows); n != 1 {
		t.Errorf("there are %d shows", n)
	}
}

func TestParseRange(t *testing.T) {
	for _, c := range []struct {
		s           string
		size        int64
		from, until int64
		ok          bool
	}{
		{"bytes=0-", 10, 0, 10, true},
		{"bytes=3-5", 10, 3, 6, true},
		{"bytes=3-99", 10, 3, 10, true},
		{"bytes=-4", 10, 6, 10, true},
		{"bytes=-40", 10, 0, 10, true},
		{"bytes=3-5", -1, 3, 6, true},
		{"bytes=3-", -1, 0, 0, false},
		{"bytes=10-", 10, 10, 10, false},
		{"bytes=5-3", 10, 5, 4, false},
		{"bytes=1-2,4-5", 10, 0, 0, false},
		{"items=1-2", 10, 0, 0, false},
		{"bytes=x-", 10, 0, 10, false},
		{"bytes=-", 10, 0, 10, false},
		{"", 10, 0, 0, false},
	} {
		if from, until, ok := parseRange(c.s, c.size); ok != c.ok || (ok && (from != c.from || until != c.until)) {
			t.Errorf("%q of %d: %d to %d, %v", c.s, c.size, from, until, ok)
		}
	}
}

// TestParts: to a player that asks for parts the gateway gives them through the
// mesh, ranges of a segment that is listed, too, and plays parts with it; one that
// asks for segments gets those.
func TestParts(t *testing.T) {
	s, g, url, client := open(t)
	s.low = "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-PART-INF:PART-TARGET=1\n#EXT-X-DEFINE:NAME=\"n\",VALUE=\"seg\"\n#EXTINF:2,\n{$n}-0.m4s\n" +
		"#EXT-X-PART:DURATION=1,URI=\"seg-1.m4s\",BYTERANGE=\"100@0\"\n#EXT-X-PART:DURATION=1,URI=\"seg-1.m4s\",BYTERANGE=\"200\"\n#EXTINF:2,\nseg-1.m4s\n" +
		"#EXT-X-PART:DURATION=1,URI=\"seg-2.0.m4s\"\n"
	get(t, client, url+"/show/low/index.m3u8")
	plays := func() (ids []wire.SegmentID) {
		g.mu.Lock()
		defer g.mu.Unlock()
		p := g.playlists["/show/low/index.m3u8"]
		for _, u := range p.playing() {
			ids = append(ids, p.show.viewer.ID(u.Resource))
		}
		return ids
	}
	if got := plays(); len(got) != 2 {
		t.Errorf("a player that has asked for nothing plays %d units", len(got))
	}
	want := string(contentOf("/show/low/seg-1.m4s"))
	for range 2 {
		resp, body := get(t, client, url+"/show/low/seg-1.m4s", "Range", "bytes=100-299")
		if resp.StatusCode != http.StatusPartialContent || body != want[100:300] || resp.Header.Get("Content-Range") != "bytes 100-299/*" {
			t.Errorf("a part: %s, %d bytes, %s", resp.Status, len(body), resp.Header.Get("Content-Range"))
		}
	}
	if _, body := get(t, client, url+"/show/low/seg-2.0.m4s"); body != string(contentOf("/show/low/seg-2.0.m4s")) {
		t.Error("a part of the segment that is being made is not what the origin has")
	}
	if n := s.count("/show/low/seg-1.m4s"); n != 1 {
		t.Errorf("the origin was asked %d times for a part", n)
	}
	if got := plays(); len(got) != 4 {
		t.Errorf("a player of parts plays %d units", len(got))
	}
	get(t, client, url+"/show/low/seg-0.m4s") // has no parts: it says nothing
	if got := plays(); len(got) != 4 {
		t.Errorf("after an old segment it plays %d units", len(got))
	}
	if _, body := get(t, client, url+"/show/low/seg-1.m4s"); body != want {
		t.Error("the segment is not what the origin has")
	}
	if got := plays(); len(got) != 2 {
		t.Errorf("a player of segments plays %d units", len(got))
	}
}
