package attacks

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	_ "github.com/viewmesh/viewmesh"
	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// site is an edge with two encrypted streams, /film and /other, of which each
// request needs a viewer token.
type site struct {
	t      *testing.T
	base   string
	dir    string
	signer *tokens.Signer
	key    []byte // of the segments; it must not travel between viewers
}

// A viewer takes 30 s ahead: a stream of a minute has something to be asked for
// as long as a test looks.
const segments, segmentSize = 60, 60_000

// newSite starts the edge; more are further options of mesh.
func newSite(t *testing.T, more string) *site {
	t.Helper()
	s := newStreams(t)
	s.base = run(t, s.directives(more))[0]
	return s
}

// in returns the site for a test of its own on the same edge.
func (s *site) in(t *testing.T) *site {
	other := *s
	other.t = t
	return &other
}

// newStreams writes the streams of a site, and a key that signs viewer tokens.
func newStreams(t *testing.T) *site {
	t.Helper()
	s := &site{t: t, dir: filepath.Join(t.TempDir(), "site"), key: random(t, 16)}
	for _, stream := range []string{"film", "other"} {
		playlist := "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:1\n#EXT-X-PLAYLIST-TYPE:VOD\n#EXT-X-KEY:METHOD=AES-128,URI=\"content.key\"\n"
		for i := range segments {
			playlist += fmt.Sprintf("#EXTINF:1.0,\n%d.ts\n", i)
			s.write(fmt.Sprintf("%s/%d.ts", stream, i), random(t, segmentSize))
		}
		s.write(stream+"/index.m3u8", []byte(playlist+"#EXT-X-ENDLIST\n"))
		s.write(stream+"/content.key", s.key)
	}
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding
	jwks := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"login","x":%q,"d":%q}]}`, b64.EncodeToString(public), b64.EncodeToString(private.Seed()))
	s.write("../login.json", []byte(jwks))
	set, err := tokens.ParseKeySet([]byte(jwks))
	if err != nil {
		t.Fatal(err)
	}
	if s.signer, err = tokens.NewSigner(set, ""); err != nil {
		t.Fatal(err)
	}
	return s
}

// directives are those of the site; more are further options of mesh.
func (s *site) directives(more string) string {
	return fmt.Sprintf(`mesh {
		report_interval 1s
		announce_interval 1s
		share encrypted_only
		token jwt {
			alg EdDSA
			jwks_file %s
			paths_claim paths
		}
		%s
	}
	metrics /metrics
	root %s
	file_server`, filepath.Join(s.dir, "../login.json"), more, s.dir)
}

// run starts Caddy with sites on free ports and returns their URLs. It takes the address
// of a connection from one that begins with the PROXY protocol: see seenAs.
func run(t *testing.T, sites ...string) (urls []string) {
	t.Helper()
	config := fmt.Sprintf("{\n%s\nservers {\n listener_wrappers {\n proxy_protocol {\n allow 127.0.0.0/8\n }\n }\n }\nmesh {\n stun off\n }\n}\n", caddytest.Options(t))
	for _, directives := range sites {
		address := freeport.Addr(t)
		config += fmt.Sprintf("http://%s {\n%s\n}\n", address, directives)
		urls = append(urls, "http://"+address)
	}
	caddytest.Start(t, config)
	return urls
}

func random(t *testing.T, n int) []byte {
	t.Helper()
	b := make([]byte, n)
	if _, err := rand.Read(b); err != nil {
		t.Fatal(err)
	}
	return b
}

func (s *site) write(name string, b []byte) {
	s.t.Helper()
	p := filepath.Join(s.dir, name)
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(p, b, 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// token is the viewer token of a customer for a stream.
func (s *site) token(path string, life time.Duration) string {
	s.t.Helper()
	return s.tokenOf("customer-4711", path, life)
}

// tokenOf is the viewer token of one customer for a stream.
func (s *site) tokenOf(customer, path string, life time.Duration) string {
	s.t.Helper()
	token, err := s.signer.Sign(map[string]any{"exp": time.Now().Add(life).Unix(), "sub": customer, "paths": path})
	if err != nil {
		s.t.Fatal(err)
	}
	return token
}

// bearer sends a viewer token with each request, from a source address.
type bearer struct {
	*http.Transport
	token string
}

func (b *bearer) Unwrap() http.RoundTripper { return b.Transport }

func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if b.token != "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.Transport.RoundTrip(r)
}

// client is an HTTP client with a viewer token, "" for none.
func (s *site) client(token string) *http.Client { return clientFrom(s.t, token, "127.0.0.1") }

func clientFrom(t *testing.T, token, source string) *http.Client {
	return &http.Client{Transport: &bearer{ask.From(t, source), token}, Timeout: 20 * time.Second}
}

// seenAs is a client with a viewer token whose connections the edge sees to come from an
// address, such as a public one.
func seenAs(t *testing.T, token, address string) *http.Client {
	transport := ask.From(t, "127.0.0.1")
	dial := transport.DialContext
	head := "PROXY TCP4 " + address + " 127.0.0.1 5000 80\r\n"
	if strings.Contains(address, ":") {
		head = "PROXY TCP6 " + address + " ::1 5000 80\r\n"
	}
	transport.DialContext = func(ctx context.Context, network, to string) (net.Conn, error) {
		c, err := dial(ctx, network, to)
		if err == nil {
			_, err = c.Write([]byte(head))
		}
		return c, err
	}
	return &http.Client{Transport: &bearer{transport, token}, Timeout: 20 * time.Second}
}

// bootstrap loads the manifest of a stream and gives where to open a session.
func (s *site) bootstrap(client *http.Client, stream string) edge.Bootstrap {
	s.t.Helper()
	b, err := bootstrapOf(client, s.base+"/"+stream+"/index.m3u8")
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func bootstrapOf(client *http.Client, manifest string) (edge.Bootstrap, error) {
	resp, err := client.Get(manifest)
	if err != nil {
		return edge.Bootstrap{}, err
	}
	resp.Body.Close()
	b, ok := edge.ParseBootstrap(resp.Header, resp.Request.URL)
	if !ok {
		return b, fmt.Errorf("%s: no bootstrap, status %d", manifest, resp.StatusCode)
	}
	return b, nil
}

// open opens a session.
func (s *site) open(client *http.Client, b edge.Bootstrap) *edge.Session {
	s.t.Helper()
	session, err := edge.Open(s.t.Context(), client, b, signal.SessionRequest{})
	if err != nil {
		s.t.Fatal(err)
	}
	return session
}

// audience are viewers that play at the same time, and what they gave and played.
type audience struct {
	s       *site
	players []*player.Player
	ctx     context.Context
	stop    context.CancelFunc
	work    sync.WaitGroup

	mu     sync.Mutex
	log    bytes.Buffer
	chunks [][]byte // that the honest ones gave to neighbors
	played int
	wrong  int // segments played that are not the origin's
}

func (s *site) audience() *audience {
	a := &audience{s: s}
	a.ctx, a.stop = context.WithCancel(context.Background())
	s.t.Cleanup(a.end)
	return a
}

// join starts a viewer of /film; tamper changes what it gives, nil for nothing.
func (a *audience) join(token string, tamper func([]byte) []byte) *player.Player {
	a.s.t.Helper()
	return a.joinWith(a.s.client(token), "/film/index.m3u8", tamper)
}

// joinWith is join with an HTTP client, by a URL of the manifest.
func (a *audience) joinWith(client *http.Client, manifest string, tamper func([]byte) []byte) *player.Player {
	a.s.t.Helper()
	u, err := url.Parse(a.s.base + manifest)
	if err != nil {
		a.s.t.Fatal(err)
	}
	n := len(a.players)
	p := player.New(player.Config{URL: u, Played: a.check, Viewer: viewer.Config{
		HTTP: client, Log: slog.New(slog.NewTextHandler(a, &slog.HandlerOptions{Level: slog.LevelDebug})).With("viewer", n),
		Tamper: func(data []byte) []byte {
			if tamper != nil {
				return tamper(data)
			}
			a.mu.Lock()
			defer a.mu.Unlock()
			a.chunks = append(a.chunks, data)
			return data
		},
	}})
	a.players = append(a.players, p)
	a.work.Go(func() {
		if err := p.Run(a.ctx); err != nil {
			a.s.t.Errorf("viewer %d: %v", n, err)
		}
	})
	return p
}

// Write takes the log of the viewers.
func (a *audience) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.log.Write(p)
}

// check holds what was played against the origin.
func (a *audience) check(r manifest.Resource, data []byte) {
	_, path := tokens.CutURI(r.URL.Path, []string{tokens.DefaultAttribute})
	want, err := os.ReadFile(filepath.Join(a.s.dir, path))
	a.mu.Lock()
	defer a.mu.Unlock()
	a.played++
	if err != nil || !bytes.Equal(want, data) {
		a.wrong++
	}
}

// until waits for something, which it looks at ten times a second.
func (a *audience) until(what string, limit time.Duration, done func() bool) {
	a.s.t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	deadline := time.After(limit)
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			a.mu.Lock()
			log := a.log.String()
			a.mu.Unlock()
			a.s.t.Fatalf("waited %v for %s\n%s", limit, what, log[max(0, len(log)-8000):])
		}
	}
}

// all says whether something holds for all viewers.
func (a *audience) all(holds func(viewer.Stats) bool) func() bool {
	return func() bool {
		for _, p := range a.players {
			if !holds(p.Stats()) {
				return false
			}
		}
		return true
	}
}

func (a *audience) end() {
	a.stop()
	a.work.Wait()
	player.Close(a.players)
}

// banned is how many peers the edge counts as banned.
func (s *site) banned() int {
	s.t.Helper()
	_, body := ask.Do(s.t, s.client(""), "GET", s.base+"/metrics", "")
	for line := range strings.Lines(body) {
		var n int
		if _, err := fmt.Sscanf(line, "mesh_banned_peers %d", &n); err == nil {
			return n
		}
	}
	s.t.Fatalf("the metrics have no mesh_banned_peers:\n%s", body)
	return 0
}
