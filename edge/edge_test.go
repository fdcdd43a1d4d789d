package edge_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/dunglas/httpsfv"
	"go.uber.org/goleak"

	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// site is an edge in a plain net/http server that serves a folder.
type site struct {
	t      *testing.T
	edge   *edge.Edge
	keys   *tokens.Keyring
	dir    string
	server *httptest.Server
}

func newSite(t *testing.T, p edge.Policy) *site {
	t.Helper()
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e, err := edge.New(edge.Config{Secret: []byte("sixteen bytes or more"), Keys: func() *tokens.Keyring { return keys }})
	if err != nil {
		t.Fatal(err)
	}
	s := &site{t: t, edge: e, keys: keys, dir: t.TempDir()}
	s.server = httptest.NewServer(e.Wrap(p, http.FileServer(http.Dir(s.dir))))
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		e.Close()
		s.server.Client().CloseIdleConnections()
		s.server.Close()
		goleak.VerifyNone(t, ignore)
	})
	s.write("vod/index.m3u8", "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXTINF:2,\nb.ts\n#EXT-X-ENDLIST\n")
	s.write("vod/a.ts", strings.Repeat("a", 100_000))
	s.write("vod/b.ts", strings.Repeat("b", 100_000))
	return s
}

func (s *site) write(name, content string) {
	s.t.Helper()
	file := filepath.Join(s.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

// do sends a request; host is "" for the server's own.
func (s *site) do(method, path, host, body string) (*http.Response, []byte) {
	s.t.Helper()
	r, err := http.NewRequest(method, s.server.URL+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	r.Host = host
	resp, err := s.server.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, b
}

// swarm loads the manifest and returns the swarm that it names.
func (s *site) swarm() string {
	s.t.Helper()
	resp, _ := s.do(http.MethodGet, "/vod/index.m3u8", "", "")
	d, err := httpsfv.UnmarshalDictionary(resp.Header.Values("Mesh-Bootstrap"))
	if err != nil {
		s.t.Fatal(err)
	}
	member, ok := d.Get("swarm")
	if !ok {
		s.t.Fatalf("no swarm in %q", resp.Header.Values("Mesh-Bootstrap"))
	}
	return member.(httpsfv.Item).Value.(string)
}

// TestWrap: in a plain net/http server a manifest names its swarm, segments get
// statements that match their bytes, and a session is opened.
func TestWrap(t *testing.T) {
	s := newSite(t, edge.Policy{})
	swarm := s.swarm()
	resp, body := s.do(http.MethodGet, "/vod/a.ts", "", "")
	st, err := s.keys.Verifier().VerifySegment(resp.Header.Get("Mesh-Segment"), time.Now())
	if err != nil || st.Path != "/vod/a.ts" || st.Size != int64(len(body)) {
		t.Fatalf("statement %+v: %v", st, err)
	}
	d, err := integrity.NewDigester(st.Size)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(body); err != nil {
		t.Fatal(err)
	}
	if _, root, err := d.Sum(); err != nil || root != st.Root {
		t.Errorf("the statement is of other bytes (%v)", err)
	}
	resp, b := s.do(http.MethodPost, "/mesh/session", "", fmt.Sprintf(`{"v":1,"swarm":%q}`, swarm))
	var a signal.SessionAnswer
	if err := json.Unmarshal(b, &a); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s: %v", resp.StatusCode, b, err)
	}
	pass, err := s.keys.Verifier().VerifyPass(a.Pass, time.Now())
	if err != nil || pass.Swarm != swarm || !pass.Covers("/vod/b.ts") {
		t.Errorf("pass %+v: %v", pass, err)
	}
	if resp, b := s.do(http.MethodGet, "/mesh/mesh.js", "", ""); resp.StatusCode != http.StatusOK || len(b) == 0 {
		t.Errorf("the script: %d", resp.StatusCode)
	}
	if resp, _ := s.do(http.MethodGet, "/mesh/none", "", ""); resp.StatusCode != http.StatusNotFound {
		t.Errorf("what is no endpoint goes to the site: %d", resp.StatusCode)
	}
}

// TestSessionIsForItsHost: a swarm of one host opens no session at another.
func TestSessionIsForItsHost(t *testing.T) {
	s := newSite(t, edge.Policy{})
	resp, b := s.do(http.MethodPost, "/mesh/session", "other.example", fmt.Sprintf(`{"v":1,"swarm":%q}`, s.swarm()))
	if resp.StatusCode != http.StatusForbidden || !strings.Contains(string(b), "unknown_swarm") {
		t.Errorf("%d %s", resp.StatusCode, b)
	}
}

// TestFullSpendsNothing: a request that is refused because the edge is full or
// closes does not count against its address.
func TestFullSpendsNothing(t *testing.T) {
	s := newSite(t, edge.Policy{})
	s.edge.Close()
	for range 1100 { // more than one address may open at once
		resp, _ := s.do(http.MethodPost, "/mesh/session", "", "{}")
		if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
			t.Fatalf("%d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
		}
	}
}

// TestBadConfig: what an edge cannot do without is an error that says so.
func TestBadConfig(t *testing.T) {
	keys := func() *tokens.Keyring { return nil }
	for want, c := range map[string]edge.Config{
		"16 random bytes": {Secret: []byte("short"), Keys: keys},
		"needs keys":      {Secret: make([]byte, 32)},
	} {
		if _, err := edge.New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
	e, err := edge.New(edge.Config{Secret: make([]byte, 32), Keys: keys})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	for want, p := range map[string]edge.Policy{
		"path":        {Path: "mesh/"},
		"share":       {Share: "some"},
		"origins":     {Origins: []string{"www.example.com"}},
		"session_ttl": {SessionTTL: time.Second},
		"no verifier": {Tokens: &edge.ViewerTokens{}},
		"negative":    {Neighbors: -1},
	} {
		if _, err := e.Site(p); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want an error with %q", err, want)
		}
	}
}

// slowBody is a request body that never comes: reading it ends at the deadline
// that the server was asked to set.
type slowBody struct {
	*httptest.ResponseRecorder
	deadline chan time.Time
}

func (s slowBody) SetReadDeadline(t time.Time) error {
	if !t.IsZero() {
		s.deadline <- t
	}
	return nil
}

func (s slowBody) Read([]byte) (int, error) {
	<-s.deadline
	return 0, os.ErrDeadlineExceeded
}

// TestSlowSession: a session request whose body does not come is answered, and
// its connection ends.
func TestSlowSession(t *testing.T) {
	s := newSite(t, edge.Policy{})
	w := slowBody{httptest.NewRecorder(), make(chan time.Time, 1)}
	r := httptest.NewRequest(http.MethodPost, "/mesh/session", w)
	s.server.Config.Handler.ServeHTTP(w, r)
	if w.Code != http.StatusRequestTimeout || !strings.Contains(w.Body.String(), `"timeout"`) || w.Header().Get("Connection") != "close" {
		t.Errorf("%d %v %s", w.Code, w.Header(), w.Body)
	}
}

// TestSignalingWithoutUpgrade: a request for the WebSocket that asks for none is
// refused in the terms of its protocol.
func TestSignalingWithoutUpgrade(t *testing.T) {
	s := newSite(t, edge.Policy{})
	for major, want := range map[int]string{1: "Upgrade", 2: "", 3: ""} {
		w, r := httptest.NewRecorder(), httptest.NewRequest(http.MethodGet, "/mesh/signal", nil)
		r.ProtoMajor = major
		s.server.Config.Handler.ServeHTTP(w, r)
		if w.Code != http.StatusUpgradeRequired || w.Header().Get("Connection") != want || (w.Header().Get("Upgrade") != "") != (want != "") {
			t.Errorf("HTTP/%d: %d %v", major, w.Code, w.Header())
		}
	}
}

// TestScriptsForOtherHosts: a page of another host may load every script, also
// under COEP.
func TestScriptsForOtherHosts(t *testing.T) {
	s := newSite(t, edge.Policy{})
	for _, name := range []string{"mesh.js", "sw.js"} {
		resp, _ := s.do(http.MethodGet, "/mesh/"+name, "", "")
		if got := resp.Header.Get("Cross-Origin-Resource-Policy"); got != "cross-origin" {
			t.Errorf("%s: Cross-Origin-Resource-Policy %q", name, got)
		}
	}
}
