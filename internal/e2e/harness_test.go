package e2e

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	_ "github.com/viewmesh/viewmesh"
	"github.com/viewmesh/viewmesh/examples/live"
	_ "github.com/viewmesh/viewmesh/examples/live/caddylive"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// TestMain goes to the root of the repository, where the demo is run from.
func TestMain(m *testing.M) {
	if err := os.Chdir("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// noLeaks has the test fail if goroutines are left when all else has been cleaned
// up. It must be called first.
func noLeaks(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		// The keeper of a storage lock looks every 5 s whether it is still held.
		locks := goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh")
		if err := goleak.Find(before, locks); err != nil {
			t.Errorf("goroutines are left: %v", err)
		}
	})
}

// demo starts Caddy with the Caddyfile of the demo, on free ports, and gives its
// URL. It is stopped at the end of the test.
func demo(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile("Caddyfile.example")
	if err != nil {
		t.Fatal(err)
	}
	text, port := string(b), freeport.Port(t)
	for _, r := range [][2]string{
		{"http://localhost:8080, http://127.0.0.1:8080", "http://127.0.0.1:" + port},
		{"127.0.0.1:3478", "127.0.0.1:" + freeport.Port(t)},
		{"\tadmin off\n", "\tadmin off\n" + caddytest.Quiet(t)},
	} {
		if !strings.Contains(text, r[0]) {
			t.Fatalf("Caddyfile.example has no %q any more: the test must be changed with it", r[0])
		}
		text = strings.ReplaceAll(text, r[0], r[1])
	}
	caddytest.Start(t, text)
	return "http://127.0.0.1:" + port
}

// front starts Caddy with the mesh in front of upstreams, HOST:PORT, and returns the
// URL of each.
func front(t *testing.T, upstreams ...string) (urls []string) {
	t.Helper()
	config := fmt.Sprintf("{\n%s\nmesh {\n stun off\n }\n}\n", caddytest.Options(t))
	for _, upstream := range upstreams {
		port := freeport.Port(t)
		config += fmt.Sprintf(`http://127.0.0.1:%s {
			mesh {
				stats
			}
			reverse_proxy %s {
				flush_interval -1
			}
		}
		`, port, upstream)
		urls = append(urls, "http://127.0.0.1:"+port)
	}
	caddytest.Start(t, config)
	return urls
}

// newClient gives an HTTP client whose connections are closed at the end.
func newClient(t *testing.T) *http.Client { return newClientFrom(t, "127.0.0.1") }

// newClientFrom is newClient with a source address.
func newClientFrom(t *testing.T, source string) *http.Client {
	return &http.Client{Transport: ask.From(t, source)}
}

func parseURL(t *testing.T, s string) *url.URL {
	t.Helper()
	u, err := url.Parse(s)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// stats is what GET /mesh/stats says.
type stats struct {
	Sessions          int     `json:"sessions"`
	PeerBytes         int64   `json:"peer_bytes"`
	OriginBytes       int64   `json:"origin_bytes"`
	Offload           float64 `json:"offload"`
	OriginEgressBytes int64   `json:"origin_egress_bytes"`
}

func getStats(t *testing.T, client *http.Client, base string) stats {
	t.Helper()
	var s stats
	resp, err := client.Get(base + "/mesh/stats")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(&s); err != nil {
		t.Fatal(err)
	}
	return s
}

// original knows the bytes of the live origin, from another origin with the same
// clock: it holds what viewers played against them.
type original struct {
	t      *testing.T
	origin *live.Origin

	mu     sync.Mutex
	sums   map[string][32]byte
	played int
}

func newOriginal(t *testing.T, config live.Config) *original {
	t.Helper()
	o, err := live.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return &original{t: t, origin: o, sums: map[string][32]byte{}}
}

// check is for player.Config.Played.
func (o *original) check(r manifest.Resource, data []byte) {
	req := httptest.NewRequest(http.MethodGet, strings.TrimPrefix(r.URL.Path, "/live"), nil)
	path, status := req.URL.Path, http.StatusOK
	if r.Length > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-%d", r.Offset, r.Offset+r.Length-1))
		path, status = path+" "+req.Header.Get("Range"), http.StatusPartialContent
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	want, ok := o.sums[path]
	if !ok {
		w := httptest.NewRecorder()
		o.origin.ServeHTTP(w, req)
		if w.Code != status {
			o.t.Errorf("%s was played and is not there any more: status %d", path, w.Code)
			return
		}
		want = sha256.Sum256(w.Body.Bytes())
		o.sums[path] = want
	}
	o.played++
	if sha256.Sum256(data) != want {
		o.t.Errorf("%s: a viewer played other bytes than the origin's", path)
	}
}

// crowd are viewers that play at the same time.
type crowd struct {
	t       *testing.T
	players []*player.Player
	work    sync.WaitGroup
	stop    context.CancelFunc
	ctx     context.Context
	log     *lines
}

func newCrowd(t *testing.T) *crowd {
	c := &crowd{t: t, log: &lines{}}
	c.ctx, c.stop = context.WithCancel(context.Background())
	t.Cleanup(c.end)
	return c
}

// join starts a viewer of a live stream.
func (c *crowd) join(client *http.Client, base string, o *original, change func(*viewer.Config)) *player.Player {
	c.t.Helper()
	cfg := player.Config{URL: parseURL(c.t, base+"/live/index.m3u8")}
	if o != nil {
		cfg.Played = o.check
	}
	if change != nil {
		change(&cfg.Viewer)
	}
	return c.play(cfg, client)
}

// play starts a viewer.
func (c *crowd) play(cfg player.Config, client *http.Client) *player.Player {
	cfg.Viewer.HTTP, cfg.Viewer.Log = client, c.log.logger(len(c.players))
	p := player.New(cfg)
	c.players = append(c.players, p)
	c.work.Go(func() {
		if err := p.Run(c.ctx); err != nil {
			c.t.Errorf("viewer: %v", err)
		}
	})
	return p
}

// until waits until all viewers fulfil what is asked of them.
func (c *crowd) until(what string, limit time.Duration, done func(viewer.Stats) bool) {
	c.t.Helper()
	deadline := time.Now().Add(limit)
	for {
		waiting := 0
		for _, p := range c.players {
			if !done(p.Stats()) {
				waiting++
			}
		}
		if waiting == 0 {
			return
		}
		if time.Now().After(deadline) {
			c.t.Fatalf("waited %v for %s: %d viewers are not there yet\n%s", limit, what, waiting, c.log)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// end stops all viewers and gives how it went.
func (c *crowd) end() {
	c.stop()
	c.work.Wait()
	player.Close(c.players)
}

// lines keeps what viewers log, for when a test fails.
type lines struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (l *lines) logger(viewer int) *slog.Logger {
	return slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})).With("viewer", viewer)
}

var _ io.Writer = (*lines)(nil)
