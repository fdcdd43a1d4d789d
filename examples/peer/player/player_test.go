package player

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is an origin with two renditions and audio, whose segments last 200 ms.
type stage struct {
	mu       sync.Mutex
	segments int // listed
	first    int64
	ended    bool
	missing  map[string]bool
	asked    map[string]int
}

func (s *stage) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked[r.URL.Path]++
	dir, file, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch {
	case r.URL.Path == "/index.m3u8":
		fmt.Fprint(w, "#EXTM3U\n#EXT-X-MEDIA:TYPE=AUDIO,GROUP-ID=\"a\",NAME=\"x\",URI=\"a0/index.m3u8\"\n"+
			"#EXT-X-STREAM-INF:BANDWIDTH=1,AUDIO=\"a\"\nv0/index.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2,AUDIO=\"a\"\nv1/index.m3u8\n")
	case file == "index.m3u8":
		fmt.Fprintf(w, "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:%d\n#EXT-X-MAP:URI=\"init.mp4\"\n", s.first)
		for i := range s.segments {
			fmt.Fprintf(w, "#EXTINF:0.2,\nseg-%d.m4s\n", s.first+int64(i))
		}
		if s.ended {
			fmt.Fprint(w, "#EXT-X-ENDLIST\n")
		}
	case s.missing[file]:
		http.NotFound(w, r)
	default:
		_, _ = w.Write(contentOf(dir + "/" + file))
	}
}

func contentOf(path string) []byte { return bytes.Repeat([]byte(path), 100) }

func open(t *testing.T, s *stage, rendition int) (*Player, func() []string) {
	t.Helper()
	s.asked = map[string]int{}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	u, err := url.Parse(server.URL + "/index.m3u8")
	if err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var played []string
	p := New(Config{URL: u, Rendition: rendition,
		Viewer: viewer.Config{HTTP: server.Client(), NoMesh: true, Log: slog.New(slog.NewTextHandler(io.Discard, nil))},
		Played: func(r manifest.Resource, data []byte) {
			mu.Lock()
			defer mu.Unlock()
			path := strings.TrimPrefix(r.URL.Path, "/")
			if !bytes.Equal(data, contentOf(path)) {
				t.Errorf("%s: other bytes were played", path)
			}
			played = append(played, path)
		}})
	t.Cleanup(p.Close)
	return p, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return played
	}
}

func run(t *testing.T, p *Player, limit time.Duration) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	if err := p.Run(ctx); err != nil {
		t.Error(err)
	}
}

// TestOnDemand plays a presentation from the beginning to its end, both tracks,
// at the speed of time.
func TestOnDemand(t *testing.T) {
	p, played := open(t, &stage{segments: 6, ended: true}, 1)
	from := time.Now()
	run(t, p, 20*time.Second)
	if took := time.Since(from); took < 1200*time.Millisecond {
		t.Errorf("1.2 s of media were played in %v", took)
	}
	if got := played(); len(got) != 12 {
		t.Errorf("%d segments were played: %v", len(got), got)
	}
	for _, path := range played() {
		if !strings.HasPrefix(path, "v1/") && !strings.HasPrefix(path, "a0/") {
			t.Errorf("%s is of another rendition", path)
		}
	}
	s := p.Stats()
	if s.Stalls != 0 || s.StartupMS == 0 || s.PlayedMS < 1190 {
		t.Errorf("%+v", s)
	}
	want := int64(len(contentOf("v1/init.mp4")) + len(contentOf("a0/init.mp4")))
	for _, path := range played() {
		want += int64(len(contentOf(path)))
	}
	if s.OriginBytes != want || s.PeerBytes != 0 {
		t.Errorf("%d bytes from the origin, %d from peers; want %d and none", s.OriginBytes, s.PeerBytes, want)
	}
}

// TestLiveStall: a live stream starts three target durations behind its edge,
// stalls once where it stops growing, and goes on when it grows.
func TestLiveStall(t *testing.T) {
	s := &stage{segments: 20, first: 100}
	p, played := open(t, s, 0)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	waitFor(t, "the stall", func() bool { return p.Stats().Stalls == 1 })
	if got := played(); len(got) != 30 || got[0] != "v0/seg-105.m4s" {
		t.Errorf("%d segments were played, from %v on; want 30 from v0/seg-105.m4s", len(got), got[:1])
	}
	s.mu.Lock()
	s.segments += 5
	s.ended = true
	s.mu.Unlock()
	if err := <-done; err != nil {
		t.Error(err)
	}
	cancel()
	if st := p.Stats(); st.Stalls != 1 || st.StallMS == 0 || len(played()) != 40 {
		t.Errorf("%d stalls of %d ms, %d segments played", st.Stalls, st.StallMS, len(played()))
	}
}

// TestMissing: a segment that the origin does not have is a stall, and is
// skipped after a while.
func TestMissing(t *testing.T) {
	p, played := open(t, &stage{segments: 5, ended: true, missing: map[string]bool{"seg-2.m4s": true}}, 0)
	run(t, p, 30*time.Second)
	if s := p.Stats(); s.Stalls != 1 || s.StallMS < minPatience.Milliseconds() || len(played()) != 8 {
		t.Errorf("%d stalls of %d ms, %d segments played", s.Stalls, s.StallMS, len(played()))
	}
}

func TestNothingToPlay(t *testing.T) {
	p, _ := open(t, &stage{segments: 5}, 7)
	if err := p.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "0 to 1") {
		t.Errorf("a rendition that is not there: %v", err)
	}
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	u, _ := url.Parse(server.URL)
	q := New(Config{URL: u, Viewer: viewer.Config{HTTP: server.Client(), NoMesh: true}})
	defer q.Close()
	if err := q.Run(context.Background()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("no playlist: %v", err)
	}
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
