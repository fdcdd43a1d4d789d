package caddymodule_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	_ "github.com/caddyserver/caddy/v2/modules/standard"
	"github.com/dunglas/httpsfv"
	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/caddymodule"
	meshedge "github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// The header fields of the mesh.
const (
	headerBootstrap = "Mesh-Bootstrap"
	headerSegment   = "Mesh-Segment"
	headerDigests   = "Mesh-Digests"

	noDigests = "?0" // of headerDigests: there is no statement, and there will be none
)

// problem is the body of an error answer.
type problem struct {
	Type, Title, Detail, Code, Field string
	Status                           int
}

// edge is a real Caddy in this process. There can be one at a time.
type edge struct {
	t       *testing.T
	storage string
	addr    string // 127.0.0.1:PORT
	base    string // of URLs, http://addr unless set
	client  *http.Client
	loads   int // configs that were loaded
}

// newEdge picks a free port; load starts Caddy. Caddy is stopped at the end of
// the test.
func newEdge(t *testing.T) *edge {
	t.Helper()
	e := &edge{t: t, storage: t.TempDir(), addr: freeport.Addr(t)}
	e.client = newClient()
	t.Cleanup(func() {
		e.client.CloseIdleConnections()
		if err := caddy.Stop(); err != nil {
			t.Errorf("stop Caddy: %v", err)
		}
	})
	return e
}

// newClient is an HTTP client that takes bodies as they come.
func newClient() *http.Client {
	return &http.Client{Transport: &http.Transport{DisableCompression: true}, Timeout: 20 * time.Second}
}

// adapt makes a Caddyfile with one site from the global options and the site's
// directives.
func (e *edge) caddyfile(global, site string) string {
	return fmt.Sprintf(`{
		admin off
		persist_config off
		auto_https off
		grace_period 1s
		storage file_system %s
		log {
			output discard
		}
		%s
	}
	http://%s {
		respond /generation "%d"
		%s
	}`, e.storage, global, e.addr, e.loads, site)
}

// tryLoad loads a Caddyfile, also one that is loaded already.
func (e *edge) tryLoad(caddyfile string) error {
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt([]byte(caddyfile), map[string]any{"filename": "Caddyfile"})
	if err != nil {
		return err
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "not formatted") {
			e.t.Logf("adapt: %v", w)
		}
	}
	return caddy.Load(adapted, true)
}

// load loads global options and a site, with no STUN unless said otherwise, and
// waits until the server before answers no more.
func (e *edge) load(global, site string) {
	e.t.Helper()
	if global == "" {
		global = "mesh {\n stun off\n }"
	}
	e.loads++
	if err := e.tryLoad(e.caddyfile(global, site)); err != nil {
		e.t.Fatal(err)
	}
	if e.loads == 1 || !strings.HasPrefix(e.url(""), "http://") {
		return
	}
	// The server before answers a while longer on connections that it has.
	e.client.CloseIdleConnections()
	for seen, deadline := 0, time.Now().Add(5*time.Second); seen < 3 && time.Now().Before(deadline); seen++ {
		if _, b, err := e.try(http.MethodGet, "/generation", ""); err != nil || string(b) != strconv.Itoa(e.loads) {
			seen = -1
		}
		e.client.CloseIdleConnections()
	}
}

func (e *edge) url(path string) string {
	if e.base != "" {
		return e.base + path
	}
	return "http://" + e.addr + path
}

// do sends a request and reads the whole answer.
func (e *edge) do(method, path, body string, header ...string) (*http.Response, []byte) {
	e.t.Helper()
	resp, b, err := e.try(method, path, body, header...)
	if err != nil {
		e.t.Fatal(err)
	}
	return resp, b
}

// try sends a request. Right after a reload the old server may close a new
// connection unanswered; the request is then sent again.
func (e *edge) try(method, path, body string, header ...string) (resp *http.Response, b []byte, err error) {
	for range 3 {
		if resp, b, err = e.once(method, path, body, header...); !unanswered(err) {
			break
		}
	}
	return resp, b, err
}

func unanswered(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET)
}

func (e *edge) once(method, path, body string, header ...string) (*http.Response, []byte, error) {
	req, err := http.NewRequest(method, e.url(path), strings.NewReader(body))
	if err != nil {
		return nil, nil, err
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i+1] != "" {
			req.Header.Set(header[i], header[i+1])
		}
	}
	resp, err := e.client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return resp, b, err
}

func (e *edge) get(path string, header ...string) (*http.Response, []byte) {
	e.t.Helper()
	return e.do(http.MethodGet, path, "", header...)
}

// swarmOf loads a manifest and returns the swarm that its header names.
func (e *edge) swarmOf(manifest string, header ...string) string {
	e.t.Helper()
	resp, _ := e.get(manifest, header...)
	return e.swarmIn(resp)
}

// swarmIn returns the swarm that the header of a manifest names.
func (e *edge) swarmIn(resp *http.Response) string {
	e.t.Helper()
	manifest := resp.Request.URL.Path
	d, err := httpsfv.UnmarshalDictionary(resp.Header.Values(headerBootstrap))
	if err != nil {
		e.t.Fatalf("%s: %s: %v", manifest, headerBootstrap, err)
	}
	member, ok := d.Get("swarm")
	if !ok {
		e.t.Fatalf("%s: no swarm in %q (status %d)", manifest, resp.Header.Values(headerBootstrap), resp.StatusCode)
	}
	return member.(httpsfv.Item).Value.(string)
}

// openSession opens a session in the swarm of a manifest.
func (e *edge) openSession(manifest string) signal.SessionAnswer {
	e.t.Helper()
	return e.openSessionIn(e.swarmOf(manifest))
}

func (e *edge) openSessionIn(swarm string) signal.SessionAnswer {
	e.t.Helper()
	resp, b := e.do(http.MethodPost, "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q}`, swarm))
	if resp.StatusCode != http.StatusOK {
		e.t.Fatalf("session: %d %s", resp.StatusCode, b)
	}
	var a signal.SessionAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		e.t.Fatal(err)
	}
	return a
}

// socket is a peer's signaling WebSocket.
type socket struct {
	t  *testing.T
	ws *websocket.Conn
	a  signal.SessionAnswer
}

// dial opens the WebSocket without saying hello.
func (e *edge) dial(header http.Header) *socket {
	e.t.Helper()
	var ws *websocket.Conn
	var resp *http.Response
	var err error
	for range 3 { // see try
		ws, resp, err = websocket.DefaultDialer.Dial("ws://"+e.addr+"/mesh/signal", header)
		if !unanswered(err) {
			break
		}
	}
	if err != nil {
		status := 0
		if resp != nil {
			status = resp.StatusCode
		}
		e.t.Fatalf("dial signaling: %v (status %d)", err, status)
	}
	e.t.Cleanup(func() { ws.Close() })
	return &socket{t: e.t, ws: ws}
}

// connect opens the WebSocket of a session and says hello.
func (e *edge) connect(a signal.SessionAnswer) *socket {
	e.t.Helper()
	s := e.dial(nil)
	s.a = a
	s.send(&signal.Message{Type: signal.Hello, Pass: a.Pass})
	if m := s.next(); m.Type != signal.Welcome {
		e.t.Fatalf("answer to hello: %+v", m)
	}
	return s
}

func (s *socket) send(m *signal.Message) {
	s.t.Helper()
	if err := s.ws.WriteMessage(websocket.TextMessage, signal.Encode(m)); err != nil {
		s.t.Fatalf("send %s: %v", m.Type, err)
	}
}

// next gives the next message.
func (s *socket) next() signal.Message {
	s.t.Helper()
	m, err := s.try()
	if err != nil {
		s.t.Fatalf("next message: %v", err)
	}
	return m
}

func (s *socket) try() (signal.Message, error) {
	_ = s.ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, b, err := s.ws.ReadMessage()
	if err != nil {
		return signal.Message{}, err
	}
	return signal.Decode(b)
}

// until gives the next message of a type.
func (s *socket) until(want signal.Type) signal.Message {
	s.t.Helper()
	for {
		if m := s.next(); m.Type == want {
			return m
		}
	}
}

// closed waits until the connection ends; messages are dropped.
func (s *socket) closed() {
	s.t.Helper()
	for {
		if _, err := s.try(); err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				s.t.Fatal("the connection was not closed")
			}
			return
		}
	}
}

// announce says hello to the swarm and gives the answer.
func (s *socket) announce(want int) signal.Message {
	s.t.Helper()
	s.send(&signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: "v0", Upload: true, Want: want}})
	for {
		m := s.until(signal.Peers)
		if len(m.Peers) > 0 || want == 0 {
			return m
		}
		if m.Duty != nil && m.Peers == nil {
			return m
		}
	}
}

// vod writes a small stream: a multivariant playlist, two renditions, init
// sections and segments of size bytes each.
func vod(t testing.TB, segments, size int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	write(t, dir, "vod/index.m3u8", multivariant("v0/index.m3u8", "v1/index.m3u8"))
	for _, v := range []string{"v0", "v1"} {
		var uris []string
		for i := range segments {
			name := fmt.Sprintf("seg-%d.m4s", i)
			uris = append(uris, name)
			write(t, dir, "vod/"+v+"/"+name, string(pattern(v+name, size)))
		}
		write(t, dir, "vod/"+v+"/init.mp4", string(pattern(v, 700)))
		write(t, dir, "vod/"+v+"/index.m3u8", mediaPlaylist("#EXT-X-MAP:URI=\"init.mp4\"", uris...))
	}
	return dir
}

func multivariant(renditions ...string) string {
	s := "#EXTM3U\n#EXT-X-VERSION:7\n"
	for i, r := range renditions {
		s += fmt.Sprintf("#EXT-X-STREAM-INF:BANDWIDTH=%d\n%s\n", 100000*(i+1), r)
	}
	return s
}

func mediaPlaylist(tags string, uris ...string) string {
	var s strings.Builder
	s.WriteString("#EXTM3U\n#EXT-X-VERSION:7\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:0\n" + tags + "\n")
	for _, u := range uris {
		s.WriteString("#EXTINF:2.0,\n" + u + "\n")
	}
	s.WriteString("#EXT-X-ENDLIST\n")
	return s.String()
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

// pattern gives size bytes that differ by seed.
func pattern(seed string, size int) []byte {
	b := bytes.Repeat([]byte(seed+"|0123456789abcdef"), size/(len(seed)+17)+1)[:size]
	for i := 0; i < size; i += 997 {
		b[i] = byte(i / 997)
	}
	return b
}

// currentEdge is the edge of the Caddy that runs.
func currentEdge(t *testing.T) *meshedge.Edge {
	t.Helper()
	e := caddymodule.CurrentEdge()
	if e == nil {
		t.Fatal("no edge")
	}
	return e
}

// disconnected waits until as many signaling connections are left.
func (e *edge) disconnected(left int64) {
	e.t.Helper()
	edge := currentEdge(e.t)
	waitFor(e.t, func() bool { return edge.Numbers().Connections == left })
}

func runtimeNow() time.Time { return time.Now() }

func decodeStats(t *testing.T, e *edge) meshedge.Stats {
	t.Helper()
	_, b := e.get("/mesh/stats")
	var st meshedge.Stats
	if err := json.Unmarshal(b, &st); err != nil {
		t.Fatalf("%v: %s", err, b)
	}
	return st
}
