package e2e

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
)

// serveEnv names a Caddyfile for TestServe.
const serveEnv = "VIEWMESH_SERVE"

// TestServe is the Caddy of a process of its own, for tests that kill it; it runs until
// its standard input ends.
func TestServe(t *testing.T) {
	file := os.Getenv(serveEnv)
	if file == "" {
		return
	}
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	caddytest.Start(t, string(b))
	fmt.Println("serving")
	_, _ = io.Copy(io.Discard, os.Stdin)
}

// server is a Caddy in a process of its own.
type server struct {
	t    *testing.T
	file string
	cmd  *exec.Cmd
}

// serve starts a Caddyfile in a process of its own.
func serve(t *testing.T, caddyfile string) *server {
	t.Helper()
	s := &server{t: t, file: filepath.Join(t.TempDir(), "Caddyfile")}
	if err := os.WriteFile(s.file, []byte(caddyfile), 0o600); err != nil {
		t.Fatal(err)
	}
	s.start()
	t.Cleanup(s.kill)
	return s
}

// start starts the process and waits until it serves.
func (s *server) start() {
	s.t.Helper()
	s.cmd = exec.Command(os.Args[0], "-test.run=^TestServe$", "-test.v")
	s.cmd.Env = append(os.Environ(), serveEnv+"="+s.file)
	if _, err := s.cmd.StdinPipe(); err != nil {
		s.t.Fatal(err)
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	said := make([]byte, 0, 1<<10)
	for !bytes.Contains(said, []byte("serving\n")) {
		piece := make([]byte, 1<<10)
		n, err := out.Read(piece)
		if said = append(said, piece[:n]...); err != nil {
			s.t.Fatalf("the server did not start: %s", said)
		}
	}
}

// kill ends the process as kill -9 does.
func (s *server) kill() {
	_ = s.cmd.Process.Signal(syscall.SIGKILL)
	_ = s.cmd.Wait()
}

// cdn is a caching proxy: it keeps segments for good and manifests for a second, and
// answers with what it has when its upstream is away.
type cdn struct {
	proxy *httputil.ReverseProxy

	mu   sync.Mutex
	kept map[string]*answered
}

type answered struct {
	header http.Header
	body   []byte
	at     time.Time
}

func newCDN(t *testing.T, upstream string) string {
	c := &cdn{proxy: httputil.NewSingleHostReverseProxy(parseURL(t, upstream)), kept: map[string]*answered{}}
	c.proxy.ErrorHandler = func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) }
	s := httptest.NewServer(c)
	t.Cleanup(s.Close)
	return s.URL
}

func (c *cdn) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || strings.HasPrefix(r.URL.Path, "/mesh/") || r.Header.Get("Range") != "" {
		c.proxy.ServeHTTP(w, r)
		return
	}
	c.mu.Lock()
	a := c.kept[r.URL.String()]
	c.mu.Unlock()
	if a == nil || (strings.HasSuffix(r.URL.Path, ".m3u8") && time.Since(a.at) > time.Second && r.Header.Get("Cache-Control") != "only-if-cached") {
		rec := httptest.NewRecorder()
		c.proxy.ServeHTTP(rec, r)
		if rec.Code == http.StatusOK {
			a = &answered{rec.Header(), rec.Body.Bytes(), time.Now()}
			c.mu.Lock()
			c.kept[r.URL.String()] = a
			c.mu.Unlock()
		} else if a == nil {
			w.WriteHeader(rec.Code)
			return
		}
	}
	for name, values := range a.header {
		w.Header()[name] = values
	}
	_, _ = w.Write(a.body)
}

// film is a film of one-second segments of random bytes, with validators.
func film(t *testing.T, seconds int) http.Handler {
	dir := t.TempDir()
	list := "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n"
	random := rand.NewChaCha8([32]byte{1})
	for i := range seconds {
		list += fmt.Sprintf("#EXTINF:1,\n%d.ts\n", i)
		body := make([]byte, 60_000)
		_, _ = random.Read(body)
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("%d.ts", i)), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "index.m3u8"), []byte(list+"#EXT-X-ENDLIST\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return http.FileServer(http.Dir(dir))
}

// taken is what viewers have received of each other and of the origin.
func taken(players []*player.Player) (peer, origin int64) {
	for _, p := range players {
		s := p.Stats()
		peer += s.PeerBytes
		origin += s.OriginBytes
	}
	return peer, origin
}

// TestKilledBehindCache: an edge behind a caching proxy is killed under six viewers and
// comes back with its storage. They get sessions and peers again, a viewer who joins
// then with what the proxy has kept does at once, and as much is shared as before.
func TestKilledBehindCache(t *testing.T) {
	for name, seconds := range map[string]int{"live": 0, "film": 120} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var streams http.Handler
			if seconds > 0 {
				streams = film(t, seconds)
			} else {
				streams = newOriginal(t, live.Config{}).origin
			}
			origin := httptest.NewServer(http.StripPrefix("/live", streams))
			t.Cleanup(origin.Close)
			port := freeport.Port(t)
			edge := serve(t, fmt.Sprintf("{\n%s\nmesh {\n stun off\n }\n}\nhttp://127.0.0.1:%s {\n mesh {\n stats\n }\n reverse_proxy %s\n}\n",
				caddytest.Options(t), port, strings.TrimPrefix(origin.URL, "http://")))
			base := newCDN(t, "http://127.0.0.1:"+port)
			client := newClient(t)
			c := newCrowd(t)
			for range 6 {
				c.join(client, base, nil, nil)
			}
			c.until("neighbors", 40*time.Second, func(s viewer.Stats) bool { return s.Report.Neighbors >= 3 && s.PeerBytes > 0 })
			played := func(ms int64) func(viewer.Stats) bool {
				return func(s viewer.Stats) bool { return s.PlayedMS >= ms }
			}
			c.until("a beginning", 60*time.Second, played(6_000))
			peer0, origin0 := taken(c.players)
			c.until("12 s more", 60*time.Second, played(18_000))
			peer1, origin1 := taken(c.players)
			before := float64(peer1-peer0) / float64(peer1-peer0+origin1-origin0)

			edge.kill()
			c.until("the end of the sessions", 20*time.Second, func(s viewer.Stats) bool { return !s.Joined })
			edge.start()
			c.until("sessions again", 40*time.Second, func(s viewer.Stats) bool { return s.Joined && s.Report.Neighbors >= 3 })
			late := c.join(client, base, nil, nil)
			peer2, origin2 := taken(c.players)
			c.until("the late viewer", 60*time.Second, func(s viewer.Stats) bool { return s.Joined && s.PlayedMS >= 12_000 })
			peer3, origin3 := taken(c.players)
			after := float64(peer3-peer2) / float64(peer3-peer2+origin3-origin2)
			c.end()
			t.Logf("from peers: %.3f before, %.3f after; the late viewer %d of %d bytes", before, after, late.Stats().PeerBytes, late.Stats().PeerBytes+late.Stats().OriginBytes)
			if after < before-0.1 {
				t.Errorf("%.3f came from peers before, and %.3f after", before, after)
			}
			if s := late.Stats(); s.PeerBytes < s.OriginBytes {
				t.Errorf("the late viewer has %d bytes from peers and %d from the origin", s.PeerBytes, s.OriginBytes)
			}
			for i, p := range c.players {
				s := p.Stats()
				t.Logf("viewer %d: %d stalls, of %d ms", i, s.Stalls, s.StallMS)
				if s.BadChunks > 0 {
					t.Errorf("viewer %d: %d bad chunks", i, s.BadChunks)
				}
			}
			if t.Failed() {
				t.Log(c.log)
			}
		})
	}
}

// TestTwoEdges: two edges with one secret and one key file behind a balancer that sends
// each request to the other one: every viewer gets its session, and statements of either
// are good at both.
func TestTwoEdges(t *testing.T) {
	origin := httptest.NewServer(http.StripPrefix("/live", film(t, 60)))
	t.Cleanup(origin.Close)
	options := caddytest.Options(t) // one storage for both
	var edges []*httputil.ReverseProxy
	var urls []string
	for range 2 {
		port := freeport.Port(t)
		serve(t, fmt.Sprintf("{\n%s\nmesh {\n stun off\n }\n}\nhttp://127.0.0.1:%s {\n mesh {\n stats\n }\n reverse_proxy %s\n}\n",
			options, port, strings.TrimPrefix(origin.URL, "http://")))
		urls = append(urls, "http://127.0.0.1:"+port)
		edges = append(edges, httputil.NewSingleHostReverseProxy(parseURL(t, urls[len(urls)-1])))
	}
	var n atomic.Int64
	balancer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		edges[n.Add(1)%2].ServeHTTP(w, r)
	}))
	t.Cleanup(balancer.Close)
	client := newClient(t)
	c := newCrowd(t)
	for range 20 {
		c.join(client, balancer.URL, nil, nil)
	}
	c.until("sessions of all", 60*time.Second, func(s viewer.Stats) bool { return s.Joined })
	c.until("some playing", 60*time.Second, func(s viewer.Stats) bool { return s.PlayedMS > 10_000 })
	peer, all := taken(c.players)
	all += peer
	c.end()
	t.Logf("from peers: %.3f", float64(peer)/float64(all))
	for i, p := range c.players {
		if s := p.Stats(); s.BadChunks > 0 {
			t.Errorf("viewer %d: %d bad chunks", i, s.BadChunks)
		}
	}
	if float64(peer)/float64(all) < 0.3 { // what twenty viewers fetch before they meet is in it
		t.Errorf("%d of %d bytes came from peers", peer, all)
	}
}
