package torrent

import (
	"encoding/json"
	"fmt"
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
	"github.com/viewmesh/viewmesh/edge/internal/socket"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/webtorrent"
	"github.com/viewmesh/viewmesh/tokens"
)

// bench is a hub behind an HTTP server, with a clock that tests move.
type bench struct {
	t      testing.TB
	hub    *Hub
	listed *catalog.Catalog
	policy atomic.Pointer[admission.Policy] // that the site has now
	host   string
	ahead  atomic.Int64 // of the clock, in nanoseconds
}

func newBench(t testing.TB, p admission.Policy) *bench {
	t.Helper()
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, listed: catalog.New([]byte("a secret of a test"))}
	p.Default()
	b.policy.Store(&p)
	now := func() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }
	control := admission.NewControl(admission.Config{
		Log: zap.NewNop(), Now: now, Catalog: b.listed,
		Keys:       func() *tokens.Keyring { return keys },
		ICEServers: func(admission.ICERequest) []signal.ICEServer { return nil },
		RelayShare: func() int64 { return 0 },
		Current:    func(admission.KnownAs, string) (*admission.Policy, bool) { return b.policy.Load(), true },
		Server: admission.Server{
			ClientAddr: func(r *http.Request) netip.Addr { return netip.MustParseAddr(r.URL.Query().Get("from")) },
			HTTPS:      func(*http.Request) bool { return false },
		},
	})
	b.hub = NewHub(Config{Log: zap.NewNop(), Now: now, Control: control, Catalog: b.listed})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		g, err := control.Admit(r, b.policy.Load())
		if err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		b.hub.Accept(w, r, b.policy.Load(), g)
	}))
	b.host = strings.TrimPrefix(server.URL, "http://")
	ignore := goleak.IgnoreCurrent()
	t.Cleanup(func() {
		b.hub.Close()
		server.Close()
		goleak.VerifyNone(t, ignore)
	})
	return b
}

// client is a client of the tracker.
type client struct {
	t  testing.TB
	ws *websocket.Conn
}

// dial connects from an address.
func (b *bench) dial(from string) *client {
	b.t.Helper()
	before := b.hub.Connections()
	ws, resp, err := websocket.DefaultDialer.Dial("ws://"+b.host+"/?from="+from, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	resp.Body.Close()
	b.t.Cleanup(func() { ws.Close() })
	b.until("the hub knows the connection", func() bool { return b.hub.Connections() == before+1 })
	return &client{b.t, ws}
}

// message is any message of the protocol.
type message map[string]any

// id is an info hash or peer id, with bytes that JSON escapes and that UTF-8 writes in two.
func id(n int) string {
	b := []rune(fmt.Sprintf("%18d", n) + "\x00\u00ff")
	return string(b)
}

func (c *client) send(m message) {
	c.t.Helper()
	if err := c.ws.WriteJSON(m); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next message.
func (c *client) next() message {
	c.t.Helper()
	m, err := c.try()
	if err != nil {
		c.t.Fatal(err)
	}
	return m
}

func (c *client) try() (m message, err error) {
	_ = c.ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, frame, err := c.ws.ReadMessage()
	if err == nil {
		err = json.Unmarshal(frame, &m)
	}
	return m, err
}

// announce announces a peer with as many offers, and returns the reply.
func (c *client) announce(hash, peer, offers int, event string) message {
	c.t.Helper()
	m := message{"action": "announce", "info_hash": id(hash), "peer_id": id(peer), "numwant": offers, "uploaded": 0, "downloaded": 0}
	if event != "" {
		m["event"] = event
	}
	list := []message{}
	for i := range offers {
		list = append(list, message{"offer_id": id(1000 + i), "offer": message{"type": "offer", "sdp": "v=0\r\n" + strings.Repeat("é", 2000)}})
	}
	m["offers"] = list
	c.send(m)
	return c.next()
}

// until waits until a condition holds.
func (b *bench) until(what string, holds func() bool) {
	b.t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			b.t.Fatalf("%s: it does not come to that", what)
		}
	}
}

// TestMeeting: two clients meet: an offer goes out and its answer comes back, as they were sent,
// with the ids that each side knows.
func TestMeeting(t *testing.T) {
	b := newBench(t, admission.Policy{})
	first, second := b.dial("192.0.2.1"), b.dial("198.51.100.1")
	if m := first.announce(1, 1, 5, "started"); m["action"] != "announce" || m["info_hash"] != id(1) || m["interval"] != 60.0 || m["incomplete"] != 1.0 || m["complete"] != 0.0 {
		t.Errorf("the first reply is %v", m)
	}
	if m := second.announce(1, 2, 5, "started"); m["incomplete"] != 2.0 {
		t.Errorf("the second reply is %v", m)
	}
	offer := first.next()
	if offer["peer_id"] != id(2) || offer["info_hash"] != id(1) || offer["offer_id"] != id(1000) || !strings.HasSuffix(offer["offer"].(map[string]any)["sdp"].(string), "éé") {
		t.Errorf("the offer is %v", offer)
	}
	first.send(message{"action": "announce", "info_hash": id(1), "peer_id": id(1), "to_peer_id": id(2), "offer_id": id(1000), "answer": message{"type": "answer", "sdp": "v=0"}})
	answer := second.next()
	if answer["peer_id"] != id(1) || answer["offer_id"] != id(1000) || fmt.Sprint(answer["answer"]) != "map[sdp:v=0 type:answer]" {
		t.Errorf("the answer is %v", answer)
	}
	second.send(message{"action": "scrape", "info_hash": []string{id(1), id(2)}})
	files, _ := second.next()["files"].(map[string]any)
	if fmt.Sprint(files[id(1)]) != "map[complete:0 downloaded:0 incomplete:2]" || len(files) != 2 {
		t.Errorf("the scrape is %v", files)
	}
	first.send(message{"action": "announce", "info_hash": id(2), "peer_id": id(3), "numwant": 0, "trackerid": "t"})
	if m := first.next(); m["tracker id"] != "t" || m["info_hash"] != id(2) {
		t.Errorf("the reply for another info hash is %v", m)
	}
	first.ws.Close()
	b.until("who closes is gone from all swarms", func() bool { n := b.hub.Numbers(); return n.Peers == 1 && n.Swarms == 1 })
}

// TestFailures: a bad message is answered with its reason and an action, and the connection
// stays.
func TestFailures(t *testing.T) {
	b := newBench(t, admission.Policy{})
	c := b.dial("192.0.2.1")
	for _, bad := range []string{`{`, `{"action":"dance"}`, `{"action":"announce","info_hash":"short"}`, `{"x":"` + strings.Repeat("x", webtorrent.MaxMessage) + `"}`} {
		if err := c.ws.WriteMessage(websocket.TextMessage, []byte(bad)); err != nil {
			t.Fatal(err)
		}
		if m := c.next(); m["action"] != "announce" || m["failure reason"] == "" {
			t.Errorf("%.40s is answered with %v", bad, m)
		}
	}
	if err := c.ws.WriteMessage(websocket.BinaryMessage, []byte(`{}`)); err != nil {
		t.Fatal(err)
	}
	if m := c.next(); m["failure reason"] != "the message is a binary frame: send text" {
		t.Errorf("a binary frame is answered with %v", m)
	}
	if m := c.announce(1, 1, 0, ""); m["interval"] != 60.0 {
		t.Errorf("after all that the reply is %v", m)
	}
}

// TestReconnect: the new socket of a client takes the place of the one that it has lost, whose
// end takes nothing away.
func TestReconnect(t *testing.T) {
	b := newBench(t, admission.Policy{})
	old, again, other := b.dial("192.0.2.1"), b.dial("192.0.2.2"), b.dial("198.51.100.1")
	old.announce(1, 1, 0, "")
	again.announce(1, 1, 0, "")
	old.ws.Close()
	b.until("the old socket is gone", func() bool { return b.hub.Connections() == 2 })
	other.announce(1, 2, 1, "")
	if m := again.next(); m["peer_id"] != id(2) {
		t.Errorf("the new socket gets %v", m)
	}
}

// TestSilence: a client that is not there any more is asked, and let go; so is one that
// announces nothing.
func TestSilence(t *testing.T) {
	b := newBench(t, admission.Policy{})
	gone, there, idle := b.dial("192.0.2.1"), b.dial("192.0.2.2"), b.dial("192.0.2.3")
	gone.announce(1, 1, 0, "")
	there.announce(1, 2, 0, "")
	pings := make(chan struct{}, 10)
	there.ws.SetPingHandler(func(s string) error {
		pings <- struct{}{}
		return there.ws.WriteControl(websocket.PongMessage, []byte(s), time.Now().Add(time.Second))
	})
	go func() {
		for {
			if _, _, err := there.ws.ReadMessage(); err != nil {
				close(pings)
				return
			}
		}
	}()
	b.ahead.Store(int64(pingAfter))
	b.hub.check()
	<-pings
	b.until("the pong is heard", func() bool {
		for _, c := range b.hub.all() {
			if c.heardAt.Load() >= int64(pingAfter) {
				return true
			}
		}
		return false
	})
	b.ahead.Store(int64(silentFor))
	b.hub.check()
	b.until("two are let go", func() bool { return b.hub.Connections() == 1 && b.hub.Numbers().Peers == 1 })
	if _, err := gone.try(); err == nil {
		t.Error("who is silent has a connection still")
	}
	if _, err := idle.try(); err == nil {
		t.Error("who announces nothing has a connection still")
	}
	there.ws.Close()
	for range pings {
	}
}

// TestStrict: only streams of manifests that have passed here have swarms, under each name and
// scheme of the host.
func TestStrict(t *testing.T) {
	b := newBench(t, admission.Policy{Tracker: admission.TrackerStrict})
	hash := func(path string) string {
		h := webtorrent.InfoHash("https://"+b.host+path, webtorrent.SingleStream)
		return string(h[:])
	}
	c := b.dial("192.0.2.1")
	announce := func(hash string) any {
		c.send(message{"action": "announce", "info_hash": hash, "peer_id": id(1)})
		return c.next()["failure reason"]
	}
	if why := announce(hash("/vod/v0.m3u8")); why == nil {
		t.Error("a stream that nobody has loaded has a swarm")
	}
	u := &url.URL{Path: "/vod/v0.m3u8"}
	body := []byte("#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\ns0.ts\n#EXT-X-ENDLIST\n")
	who := b.policy.Load().Identity()
	p := b.listed.Presentation(b.host, u.Path)
	b.listed.Unchanged(p, manifest.Name{Path: u.Path}, body, time.Now())
	if _, err := b.listed.Learn(p, u, body, who, time.Now()); err != nil {
		t.Fatal(err)
	}
	if why := announce(hash("/vod/v0.m3u8")); why != nil {
		t.Errorf("a stream that was loaded: %v", why)
	}
	if why := announce(hash("/vod/v1.m3u8")); why == nil {
		t.Error("a stream of another manifest has a swarm")
	}
	p.Stop("a test")
	if why := announce(hash("/vod/v0.m3u8")); why == nil {
		t.Error("a stream that is not shared has a swarm")
	}
}

// TestPolicyOfNow: a reload that takes the tracker away ends its connections.
func TestPolicyOfNow(t *testing.T) {
	b := newBench(t, admission.Policy{})
	c := b.dial("192.0.2.1")
	c.announce(1, 1, 0, "")
	off := admission.Policy{Tracker: admission.TrackerOff}
	off.Default()
	b.policy.Store(&off)
	b.hub.check()
	if _, err := c.try(); !websocket.IsCloseError(err, websocket.CloseNormalClosure) {
		t.Errorf("the connection ends with %v", err)
	}
}

// TestSlowReader: a client that does not read loses messages of others and keeps its
// connection; nobody is held up.
func TestSlowReader(t *testing.T) {
	b := newBench(t, admission.Policy{})
	slow, fast := b.dial("192.0.2.1"), b.dial("192.0.2.2")
	slow.announce(1, 1, 0, "")
	to := b.hub.all()[0]
	for _, c := range b.hub.all() {
		if c.idleAt.Load() == 0 {
			to = c // the one that has announced
		}
	}
	large := func() *socket.Frame {
		f := socket.NewFrame()
		f.Buffer = append(f.Buffer, make([]byte, 16<<10)...)
		f.Seal(socket.Text)
		return f
	}
	for i := 0; to.Forward(large()); i++ {
		if i == 10_000 {
			t.Fatal("nothing is dropped")
		}
	}
	if m := fast.announce(1, 2, 1, ""); m["interval"] != 60.0 {
		t.Errorf("the reply is %v", m)
	}
	if n := b.hub.Connections(); n != 2 {
		t.Errorf("%d connections are open", n)
	}
	b.until("who does not read what is its own is cut", func() bool {
		for range 64 {
			to.Send(large())
		}
		return b.hub.Connections() == 1
	})
}
