package signaling

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// bench is a hub behind an HTTP server, with a clock that tests move.
type bench struct {
	t       *testing.T
	hub     *Hub
	control *admission.Control
	policy  *admission.Policy
	to      *catalog.Presentation
	swarm   string
	url     string
	host    string
	ahead   atomic.Int64 // of the clock, in nanoseconds
}

func newBench(t *testing.T) *bench {
	t.Helper()
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, policy: &admission.Policy{}}
	b.policy.Default()
	now := func() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }
	listed := catalog.New([]byte("a secret of a test"))
	b.control = admission.NewControl(admission.Config{
		Log: zap.NewNop(), Now: now, Catalog: listed,
		Keys:       func() *tokens.Keyring { return keys },
		ICEServers: func(admission.ICERequest) []signal.ICEServer { return nil },
		RelayShare: func() int64 { return 0 },
		Server: admission.Server{
			ClientAddr: func(*http.Request) netip.Addr { return netip.MustParseAddr("192.0.2.1") },
			HTTPS:      func(*http.Request) bool { return false },
		},
	})
	b.hub = NewHub(Config{Log: zap.NewNop(), Now: now, Control: b.control})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.hub.Accept(w, r, b.control.Connection(r, b.policy))
	}))
	u, err := url.Parse(server.URL)
	if err != nil {
		t.Fatal(err)
	}
	b.host, b.url = u.Host, "ws://"+u.Host
	b.to = listed.Presentation(b.host, "/vod/index.m3u8")
	b.swarm = listed.SwarmOf(b.to, now())
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		b.hub.Close()
		server.Close()
		goleak.VerifyNone(t, ignore)
	})
	return b
}

// join opens a session, connects and says hello. It returns the socket, the
// answer to the session request, and the hub's side of the connection.
func (b *bench) join() (*websocket.Conn, *signal.SessionAnswer, *session) {
	b.t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/mesh/session", nil)
	a, _, err := b.control.Open(r, b.policy, b.to, &signal.SessionRequest{V: 1, Swarm: b.swarm})
	if err != nil {
		b.t.Fatal(err)
	}
	ws, resp, err := websocket.DefaultDialer.Dial(b.url, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	resp.Body.Close()
	b.t.Cleanup(func() { ws.Close() })
	send(b.t, ws, &signal.Message{Type: signal.Hello, Pass: a.Pass})
	until(b.t, ws, signal.Welcome)
	send(b.t, ws, &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Want: 0}})
	until(b.t, ws, signal.Peers) // it is a member now
	b.hub.mu.Lock()
	defer b.hub.mu.Unlock()
	for s := range b.hub.sessions {
		if s.member != nil && s.member.Peer == a.Peer {
			return ws, a, s
		}
	}
	b.t.Fatal("the hub does not know the session")
	return nil, nil, nil
}

// left waits until as many connections are left.
func (b *bench) left(n int64) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); b.hub.Connections() != n; {
		if time.Now().After(deadline) {
			b.t.Fatalf("%d connections are open, want %d", b.hub.Connections(), n)
		}
		time.Sleep(time.Millisecond)
	}
}

func send(t *testing.T, ws *websocket.Conn, m *signal.Message) {
	t.Helper()
	if err := ws.WriteMessage(websocket.TextMessage, signal.Encode(m)); err != nil {
		t.Fatalf("send %s: %v", m.Type, err)
	}
}

// until returns the next message of a type.
func until(t *testing.T, ws *websocket.Conn, want signal.Type) signal.Message {
	t.Helper()
	for {
		_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
		_, frame, err := ws.ReadMessage()
		if err != nil {
			t.Fatalf("wait for %s: %v", want, err)
		}
		m, err := signal.Decode(frame)
		if err != nil {
			t.Fatal(err)
		}
		if m.Type == want {
			return m
		}
	}
}

// TestSlowConsumer: a peer that does not read is cut; the one that floods it is
// not held up.
func TestSlowConsumer(t *testing.T) {
	b := newBench(t)
	_, _, slow := b.join()
	fast, a, _ := b.join()
	// Fill the socket from within, so that the tracker's own limit on messages is
	// not what ends it.
	large := &signal.Message{Type: signal.Offer, From: &a.Peer, Connection: "1", SDP: strings.Repeat("x", 30_000)}
	for range 1000 {
		slow.send(large)
	}
	b.left(1)
	send(t, fast, &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Want: 0}})
	until(t, fast, signal.Peers)
}

// TestPassRunsOut: a peer that lets its pass run out is introduced to nobody any
// more, whether it sends something or is silent.
func TestPassRunsOut(t *testing.T) {
	for name, next := range map[string]func(ws *websocket.Conn, s *session){
		"talking": func(ws *websocket.Conn, _ *session) {
			send(t, ws, &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Want: 1}})
		},
		"silent": func(_ *websocket.Conn, s *session) { s.sendPing() },
		"late":   func(ws *websocket.Conn, _ *session) { send(t, ws, &signal.Message{Type: signal.Renew}) },
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			ws, _, s := b.join()
			b.ahead.Store(int64(b.policy.SessionTTL))
			next(ws, s)
			if m := until(t, ws, signal.ErrorMsg); m.Code != "bad_pass" {
				t.Errorf("got %+v", m)
			}
			ws.Close()
			b.left(0)
		})
	}
}

// TestSilentPeer: a peer from which nothing comes is asked after a while whether it is
// there; until it answers it is introduced to nobody, and when it does not it is let go.
func TestSilentPeer(t *testing.T) {
	b := newBench(t)
	quiet, a, s := b.join()
	asking, _, _ := b.join()
	send(t, quiet, &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Upload: true}})
	until(t, quiet, signal.Peers)
	met := func() bool {
		t.Helper()
		send(t, asking, &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Upload: true, Want: 4}})
		peers := until(t, asking, signal.Peers).Peers
		return len(peers) == 1 && peers[0].ID == a.Peer
	}
	silence := func() {
		s.mu.Lock()
		s.heardAt = time.Now().Add(-pingAfter)
		s.mu.Unlock()
		s.sendPing()
	}
	if !met() {
		t.Error("a peer that has just spoken is not introduced")
	}
	silence()
	if met() {
		t.Error("a peer that has not answered the ping is introduced")
	}
	answered := make(chan struct{})
	go func() { // reading is what answers a ping
		defer close(answered)
		_, _, _ = quiet.ReadMessage()
	}()
	for s.silent() {
		time.Sleep(time.Millisecond)
	}
	// The answer is noted before the swarm hears of it.
	for end := time.Now().Add(10 * time.Second); !met(); {
		if time.Now().After(end) {
			t.Fatal("a peer that has answered is not introduced")
		}
	}
	quiet.Close()
	<-answered
	b.left(1)
	if silentFor < pingAfter+5*time.Second || silentFor > pingAfter+8*time.Second {
		t.Errorf("a peer has %v to answer", silentFor-pingAfter)
	}
}

// TestHubCloses: peers are sent elsewhere, each after a time of its own, and
// nothing of the hub is left.
func TestHubCloses(t *testing.T) {
	b := newBench(t)
	seen := map[int64]bool{}
	var sockets []*websocket.Conn
	for range 4 {
		ws, _, _ := b.join()
		sockets = append(sockets, ws)
	}
	b.hub.Close()
	for _, ws := range sockets {
		seen[until(t, ws, signal.Reconnect).AfterMS] = true
	}
	if len(seen) != len(sockets) {
		t.Errorf("peers are sent away at %d different times, want %d", len(seen), len(sockets))
	}
	if !b.hub.Draining() || b.hub.Connections() != 0 {
		t.Errorf("draining %v, %d connections", b.hub.Draining(), b.hub.Connections())
	}
}
