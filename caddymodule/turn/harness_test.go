package turn_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/gorilla/websocket"

	_ "github.com/viewmesh/viewmesh/caddymodule"
	"github.com/viewmesh/viewmesh/caddymodule/turn"
	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/turnserver"
)

// edge is a real Caddy in this process. There can be one at a time.
type edge struct {
	t       *testing.T
	storage string
	addr    string // 127.0.0.1:PORT
	base    string // of URLs, http://addr unless set
	client  *http.Client
}

// newEdge picks a free port; load starts Caddy. Caddy is stopped at the end of the
// test, and leaves no server behind.
func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{t: t, storage: t.TempDir(), addr: freeport.Addr(t)}
	e.client = &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		e.client.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stop Caddy: %v", err)
		}
		if n := len(turn.Running()); n != 0 {
			t.Errorf("%d servers are left", n)
		}
	})
	return e
}

// caddyfile is a Caddyfile with one HTTP site.
func (e *edge) caddyfile(global, site string) string {
	return fmt.Sprintf("{\n admin off\n persist_config off\n auto_https off\n grace_period 1s\n storage file_system %s\n log {\n output discard\n }\n %s\n}\nhttp://%s {\n %s\n}",
		e.storage, global, e.addr, site)
}

// tryLoad loads a Caddyfile, also one that is loaded already.
func (e *edge) tryLoad(caddyfile string) error {
	adapted, _, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	return caddy.Load(adapted, true)
}

// load loads global options and a site.
func (e *edge) load(global, site string) {
	e.t.Helper()
	if err := e.tryLoad(e.caddyfile(global, site)); err != nil {
		e.t.Fatal(err)
	}
}

// do sends a request and reads the whole answer. Right after a reload the old server
// may close a new connection unanswered; the request is then sent again.
func (e *edge) do(method, path, body string) (*http.Response, []byte) {
	e.t.Helper()
	base := e.base
	if base == "" {
		base = "http://" + e.addr
	}
	for try := 0; ; try++ {
		req, err := http.NewRequest(method, base+path, strings.NewReader(body))
		if err != nil {
			e.t.Fatal(err)
		}
		resp, err := e.client.Do(req)
		if err == nil {
			defer resp.Body.Close()
			var b []byte
			if b, err = io.ReadAll(resp.Body); err == nil {
				return resp, b
			}
		}
		if try == 2 || !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, syscall.ECONNRESET) {
			e.t.Fatal(err)
		}
	}
}

func (e *edge) get(path string) (*http.Response, []byte) {
	e.t.Helper()
	return e.do(http.MethodGet, path, "")
}

const headerBootstrap = "Mesh-Bootstrap"

var bootstrapSwarm = regexp.MustCompile(`swarm="([^"]+)"`)

// openSession opens a session in the swarm of a manifest.
func (e *edge) openSession(manifest string) signal.SessionAnswer {
	e.t.Helper()
	resp, _ := e.get(manifest)
	swarm := bootstrapSwarm.FindStringSubmatch(resp.Header.Get(headerBootstrap))
	if swarm == nil {
		e.t.Fatalf("%s: no swarm (status %d)", manifest, resp.StatusCode)
	}
	resp, b := e.do(http.MethodPost, "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"manifest":%q}`, swarm[1], manifest))
	if resp.StatusCode != http.StatusOK {
		e.t.Fatalf("session: %d %s", resp.StatusCode, b)
	}
	var a signal.SessionAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		e.t.Fatal(err)
	}
	return a
}

// join opens the signaling WebSocket of a session, at url, and enters its swarm.
func join(t *testing.T, dialer *websocket.Dialer, url string, a signal.SessionAnswer) {
	t.Helper()
	ws, _, err := dialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ws.Close() })
	for _, m := range []*signal.Message{{Type: signal.Hello, Pass: a.Pass},
		{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: "v0", Upload: true}}} {
		if err := ws.WriteMessage(websocket.TextMessage, signal.Encode(m)); err != nil {
			t.Fatal(err)
		}
	}
	for {
		_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, b, err := ws.ReadMessage()
		if err != nil {
			t.Fatalf("no answer to the announce: %v", err)
		}
		if m, err := signal.Decode(b); err != nil {
			t.Fatal(err)
		} else if m.Type == signal.Peers {
			return
		}
	}
}

// vod writes a small stream and returns its folder.
func vod(t testing.TB, segmentSize int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, "vod/index.m3u8", "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-STREAM-INF:BANDWIDTH=100000\nv0/index.m3u8\n")
	write(t, dir, "vod/v0/index.m3u8", "#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n#EXTINF:2.0,\nseg-0.m4s\n#EXT-X-ENDLIST\n")
	write(t, dir, "vod/v0/seg-0.m4s", strings.Repeat("x", segmentSize))
	return dir
}

func write(t testing.TB, dir, name, content string) {
	t.Helper()
	p := filepath.Join(dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// theServer is the server that runs.
func theServer(t *testing.T) *turnserver.Server {
	t.Helper()
	running := turn.Running()
	if len(running) != 1 {
		t.Fatalf("%d servers run, want one", len(running))
	}
	for s := range running {
		return s
	}
	return nil
}

// turnAddr is where the relay listens.
func turnAddr(t *testing.T, network string) netip.AddrPort {
	t.Helper()
	for _, b := range turn.Running()[theServer(t)] {
		if b.Network == network {
			return b.Addr
		}
	}
	t.Fatalf("no %s listener", network)
	return netip.AddrPort{}
}

// waitFor waits for a condition that another goroutine makes true.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still not so after 10 s")
		}
	}
}

func grep(s, prefix string) string {
	var out strings.Builder
	for line := range strings.Lines(s) {
		if strings.HasPrefix(line, prefix) {
			out.WriteString(line)
		}
	}
	return out.String()
}

func portOf(hostport string) string {
	_, port, _ := net.SplitHostPort(hostport)
	return port
}
