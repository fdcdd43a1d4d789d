package viewer

import (
	"bytes"
	"encoding/json"
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

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
	"github.com/viewmesh/viewmesh/tokens"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stage is an origin and an edge, whose every word a test decides.
type stage struct {
	t      *testing.T
	server *httptest.Server
	keys   *tokens.Keyring

	mu       sync.Mutex
	sessions []signal.SessionRequest
	hellos   []string // the passes
	reports  []signal.Report
	said     []signal.Type
	messages []signal.Message // the same, whole
	// life is that of a pass; refuse is the status of the next answers.
	life    time.Duration
	unknown string // the swarm that the edge does not know
	refuse  []int
	// differ has the origin serve other bytes than it signs for.
	differ bool
	// making are paths that are complete when the channel is closed.
	making map[string]chan struct{}
	asked  map[string]int // by path
	// hold, if not nil, is waited for before a session is opened.
	hold chan struct{}
	// wait is how long a segment waits at the origin, as a session says, in ms.
	wait int64
	// talk is what the edge does with a socket after the welcome.
	talk func(n int, ws *websocket.Conn)
}

func newStage(t *testing.T) *stage {
	t.Helper()
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, keys: keys, life: time.Minute, asked: map[string]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mesh/session", s.session)
	mux.HandleFunc("/mesh/signal", s.signal)
	mux.HandleFunc("/mesh/segment", s.statement)
	mux.HandleFunc("/show/", func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked[r.URL.Path]++
		made := s.making[r.URL.Path]
		s.mu.Unlock()
		if made != nil {
			<-made
		}
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(s.content(r.URL.Path)))
	})
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	return s
}

func (s *stage) content(path string) []byte {
	b := bytes.Repeat([]byte(path), 4000)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.differ {
		b[len(b)/2] ^= 1
	}
	return b
}

func (s *stage) session(w http.ResponseWriter, r *http.Request) {
	if s.hold != nil {
		<-s.hold
	}
	body, _ := io.ReadAll(r.Body)
	req, err := signal.DecodeSession(body)
	if err != nil {
		s.t.Error(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sessions = append(s.sessions, req)
	if len(s.refuse) > 0 {
		w.WriteHeader(s.refuse[0])
		s.refuse = s.refuse[1:]
		return
	}
	if s.unknown != "" && req.Swarm == s.unknown {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"code":"unknown_swarm"}`)
		return
	}
	public, err := s.keys.Public()
	if err != nil {
		s.t.Error(err)
	}
	n := len(s.sessions)
	_ = json.NewEncoder(w).Encode(signal.SessionAnswer{V: 1, Peer: wire.PeerID(n), Pass: fmt.Sprintf("pass %d", n), ExpiresMS: s.life.Milliseconds(),
		Keys: public, Signal: "/mesh/signal", Segment: "/mesh/segment", AnnounceMS: 60_000, ReportMS: 100, OriginWaitMS: s.wait})
}

func (s *stage) signal(w http.ResponseWriter, r *http.Request) {
	ws, err := new(websocket.Upgrader).Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer ws.Close()
	welcomed := false
	for {
		_, frame, err := ws.ReadMessage()
		if err != nil {
			return
		}
		m, err := signal.Decode(frame)
		if err != nil {
			s.t.Error(err)
			return
		}
		s.mu.Lock()
		s.said, s.messages = append(s.said, m.Type), append(s.messages, m)
		switch m.Type {
		case signal.Hello:
			s.hellos = append(s.hellos, m.Pass)
		case signal.ReportMsg:
			s.reports = append(s.reports, *m.Report)
		}
		n := len(s.hellos)
		s.mu.Unlock()
		if m.Type == signal.Renew {
			say(ws, &signal.Message{Type: signal.Pass, Pass: "renewed", ExpiresMS: 60_000, ICEServers: []signal.ICEServer{{Username: "renewed"}}})
		}
		if !welcomed {
			welcomed = true
			say(ws, &signal.Message{Type: signal.Welcome})
			if s.talk != nil {
				go s.talk(n, ws)
			}
		}
	}
}

func say(ws *websocket.Conn, m *signal.Message) {
	_ = ws.WriteMessage(websocket.TextMessage, signal.Encode(m))
}

func (s *stage) statement(w http.ResponseWriter, r *http.Request) {
	path := r.URL.Query().Get("path")
	data := bytes.Repeat([]byte(path), 4000)
	d, err := integrity.NewDigester(int64(len(data)))
	if err != nil {
		s.t.Error(err)
		return
	}
	_, _ = d.Write(data)
	hashes, root, _ := d.Sum()
	token, err := s.keys.SignSegment(tokens.Segment{Path: path, Size: int64(len(data)), ChunkSize: d.Layout().ChunkSize, Root: root,
		Expires: time.Now().Add(time.Hour)})
	if err != nil {
		s.t.Error(err)
	}
	_ = json.NewEncoder(w).Encode(signal.SegmentStatement{Token: token, Hashes: hashes})
}

func (s *stage) bootstrap(swarm string) edge.Bootstrap {
	u, _ := url.Parse(s.server.URL + "/mesh/session")
	return edge.Bootstrap{Session: u, Swarm: swarm}
}

func (s *stage) viewer(change func(*Config)) *Viewer {
	cfg := Config{HTTP: s.server.Client(), Log: slog.New(slog.NewTextHandler(io.Discard, nil))}
	if change != nil {
		change(&cfg)
	}
	v := New(cfg)
	s.t.Cleanup(v.Close)
	return v
}

func (s *stage) resource(name string) manifest.Resource {
	u, _ := url.Parse(s.server.URL + "/show/" + name)
	return manifest.Resource{URL: u}
}

// show has a viewer play segments of 2 s on demand.
func (s *stage) show(v *Viewer, names ...string) {
	m := Manifest{Rendition: "r"}
	for i, name := range names {
		m.Segments = append(m.Segments, Segment{Resource: s.resource(name), Sequence: int64(i),
			Start: time.Duration(i) * 2 * time.Second, Duration: 2 * time.Second})
	}
	v.SetManifest(m)
	v.Play(0, true)
}

func (s *stage) until(what string, done func() bool) {
	s.t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		s.mu.Lock()
		ok := done()
		s.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("waited in vain for %s", what)
		}
	}
}

func (s *stage) whole(v *Viewer, name string) bool {
	g := v.Store().Lookup(v.ID(s.resource(name)))
	return g != nil && g.Whole()
}

// TestBeforeTheSession: playing does not wait for the session, and what was
// fetched before can be shared after.
func TestBeforeTheSession(t *testing.T) {
	s := newStage(t)
	s.hold = make(chan struct{})
	v := s.viewer(nil)
	v.Bootstrap(s.bootstrap("s"))
	s.show(v, "a.m4s")
	s.until("the segment", func() bool { return s.whole(v, "a.m4s") })
	g := v.Store().Lookup(v.ID(s.resource("a.m4s")))
	if g.Proof() != nil {
		t.Error("there is a proof before there are keys")
	}
	close(s.hold)
	s.until("the proof", func() bool { return g.Have() != 0 })
	s.until("a report", func() bool { return len(s.reports) > 0 })
	v.Close()
	size := int64(len(s.content("/show/a.m4s")))
	if st := v.Stats(); st.OriginBytes != size || st.Peer != 1 {
		t.Errorf("%d bytes of the origin are counted, want %d; peer %v", st.OriginBytes, size, st.Peer)
	}
	if last := s.reports[len(s.reports)-1]; last.OriginBytes != size {
		t.Errorf("the edge was told of %d bytes, want %d", last.OriginBytes, size)
	}
	if last := s.said[len(s.said)-1]; last != signal.Leave {
		t.Errorf("the last word was %s", last)
	}
}

// TestRenew: a pass is renewed before it expires, and the renewed one is shown
// when the socket is opened anew.
func TestRenew(t *testing.T) {
	s := newStage(t)
	s.life = 1500 * time.Millisecond
	closeIt := make(chan struct{})
	s.talk = func(n int, ws *websocket.Conn) {
		if n == 1 {
			<-closeIt
			ws.NetConn().Close()
		}
	}
	v := s.viewer(nil)
	v.Bootstrap(s.bootstrap("s"))
	s.until("the renewal", func() bool {
		var servers []signal.ICEServer
		v.call(func() { servers = v.servers })
		return len(servers) == 1 && servers[0].Username == "renewed"
	})
	close(closeIt)
	s.until("the second hello", func() bool { return len(s.hellos) == 2 })
	if s.hellos[0] != "pass 1" || s.hellos[1] != "renewed" || len(s.sessions) != 1 {
		t.Errorf("hellos %q in %d sessions", s.hellos, len(s.sessions))
	}
}

// TestReconnect: told to, a viewer opens another session, as another peer, and
// reports there only what is new.
func TestReconnect(t *testing.T) {
	s := newStage(t)
	reported := make(chan struct{})
	s.talk = func(n int, ws *websocket.Conn) {
		if n == 1 {
			<-reported
			say(ws, &signal.Message{Type: signal.Reconnect, AfterMS: 1})
			ws.NetConn().Close()
		}
	}
	v := s.viewer(func(c *Config) { c.NoUpload = true })
	v.Bootstrap(s.bootstrap("s"))
	s.show(v, "a.m4s", "b.m4s")
	a, b := int64(len(s.content("/show/a.m4s"))), int64(len(s.content("/show/b.m4s")))
	s.until("a report of both", func() bool { return len(s.reports) > 0 && s.reports[len(s.reports)-1].OriginBytes == a+b })
	close(reported)
	s.until("the second session", func() bool { return len(s.hellos) == 2 })
	s.show(v, "a.m4s", "b.m4s", "c.m4s")
	c := int64(len(s.content("/show/c.m4s")))
	s.until("a report of the third", func() bool { return s.reports[len(s.reports)-1].OriginBytes == c })
	if st := v.Stats(); st.Peer != 2 || st.OriginBytes != a+b+c {
		t.Errorf("peer %v, %d bytes, want %d", st.Peer, st.OriginBytes, a+b+c)
	}
	if s.sessions[1].Mode != "receive_only" {
		t.Errorf("asked with %+v", s.sessions[1])
	}
}

// TestRefusals: 503 is asked again, 403 only when a manifest names another swarm;
// playing goes on.
func TestRefusals(t *testing.T) {
	s := newStage(t)
	s.refuse = []int{http.StatusForbidden, http.StatusServiceUnavailable}
	v := s.viewer(nil)
	v.Bootstrap(s.bootstrap("one"))
	s.show(v, "a.m4s")
	s.until("the segment", func() bool { return s.whole(v, "a.m4s") })
	v.Bootstrap(s.bootstrap("one"))
	v.Bootstrap(s.bootstrap("two"))
	s.until("a session", func() bool { return len(s.hellos) == 1 })
	var swarms []string
	for _, r := range s.sessions {
		swarms = append(swarms, r.Swarm)
	}
	if strings.Join(swarms, " ") != "one two two" {
		t.Errorf("asked for the swarms %q", swarms)
	}
}

// TestFirstManifest: of several manifests a viewer goes by the first, and by another
// one only where the edge refuses that for good.
func TestFirstManifest(t *testing.T) {
	s := newStage(t)
	s.unknown = "of the show"
	v := s.viewer(nil)
	for _, m := range [][2]string{{"of the show", "/index.m3u8"}, {"of the show", "/v0.m3u8"}, {"of a rendition", "/v0.m3u8"}} {
		b := s.bootstrap(m[0])
		b.Manifest = m[1]
		v.Bootstrap(b)
	}
	s.until("a session", func() bool { return len(s.hellos) == 1 })
	var asked []string
	for _, r := range s.sessions {
		asked = append(asked, r.Swarm+" "+r.Manifest)
	}
	if got := strings.Join(asked, ", "); got != "of the show /index.m3u8, of a rendition /v0.m3u8" {
		t.Errorf("asked for %s", got)
	}
}

// TestUnknownSwarm: a viewer whose edge does not know its swarm loads the manifest
// again, once and when it may, and opens a session of the swarm that it names then.
func TestUnknownSwarm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		again    string // the swarm that the manifest names
		answers  []int  // of the manifest, before that
		sessions string
		loads    int
	}{
		"another swarm": {again: "two", sessions: "one two", loads: 1},
		"not yet":       {again: "two", answers: []int{http.StatusServiceUnavailable}, sessions: "one two", loads: 2},
		"the same":      {again: "one", sessions: "one one three", loads: 1},
		"no mesh":       {answers: []int{http.StatusNotFound}, sessions: "one three", loads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStage(t)
			s.unknown = "one"
			loads := 0
			manifest := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.mu.Lock()
				defer s.mu.Unlock()
				if loads++; r.Header.Get("Cache-Control") != "no-cache" || r.URL.RawQuery != "t=T" {
					t.Errorf("asked with %v for %s", r.Header, r.URL)
				}
				if len(c.answers) >= loads {
					w.Header().Set("Retry-After", "1")
					w.WriteHeader(c.answers[loads-1])
					return
				}
				w.Header().Set(edge.HeaderBootstrap, fmt.Sprintf(`v=1, session="%s/mesh/session", swarm="%s"`, s.server.URL, c.again))
			}))
			t.Cleanup(manifest.Close)
			v := s.viewer(nil)
			b := s.bootstrap("one")
			b.From, _ = url.Parse(manifest.URL + "/live.m3u8?t=T")
			v.Bootstrap(b)
			asked := func() string {
				var swarms []string
				for _, r := range s.sessions {
					swarms = append(swarms, r.Swarm)
				}
				return strings.Join(swarms, " ")
			}
			if before, found := strings.CutSuffix(c.sessions, " three"); found {
				s.until("the last refusal", func() bool { return loads == c.loads && asked() == before })
				v.Bootstrap(s.bootstrap("three"))
			}
			s.until("a session", func() bool { return len(s.hellos) == 1 })
			s.until("no more", func() bool { return asked() == c.sessions && loads == c.loads })
		})
	}
}

// TestOriginDiffers: the origin's bytes are not those that were signed for: they
// are played, and not shared.
func TestOriginDiffers(t *testing.T) {
	s := newStage(t)
	s.differ = true
	v := s.viewer(nil)
	v.Bootstrap(s.bootstrap("s"))
	s.until("a session", func() bool { return len(s.hellos) == 1 })
	s.show(v, "a.m4s")
	s.until("the segment", func() bool { return s.whole(v, "a.m4s") })
	g := v.Store().Lookup(v.ID(s.resource("a.m4s")))
	if !bytes.Equal(g.Bytes(), s.content("/show/a.m4s")) || g.Have() != 0 {
		t.Errorf("other bytes are played, or %x is shared", g.Have())
	}
}

// TestNoMesh: nobody is asked for a session.
func TestNoMesh(t *testing.T) {
	s := newStage(t)
	v := s.viewer(func(c *Config) { c.NoMesh = true })
	v.Bootstrap(s.bootstrap("s"))
	s.show(v, "a.m4s")
	s.until("the segment", func() bool { return s.whole(v, "a.m4s") })
	v.Close()
	if len(s.sessions) != 0 {
		t.Errorf("asked for %d sessions", len(s.sessions))
	}
}
