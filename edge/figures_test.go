package edge_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/edge/insight"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// join opens a session with a device and says hello; it returns the connection.
func (s *site) join(device signal.Device) *websocket.Conn {
	s.t.Helper()
	return s.hello(s.open(device))
}

// open opens a session.
func (s *site) open(device signal.Device) (a signal.SessionAnswer) {
	s.t.Helper()
	body, err := json.Marshal(signal.SessionRequest{V: 1, Swarm: s.swarm(), Device: device})
	if err != nil {
		s.t.Fatal(err)
	}
	resp, b := s.do(http.MethodPost, "/mesh/session", "", string(body))
	if err := json.Unmarshal(b, &a); err != nil || resp.StatusCode != http.StatusOK {
		s.t.Fatalf("session: %s: %s", resp.Status, b)
	}
	return a
}

// hello connects a session.
func (s *site) hello(a signal.SessionAnswer) *websocket.Conn {
	s.t.Helper()
	ws, up, err := websocket.DefaultDialer.Dial(strings.Replace(s.server.URL, "http", "ws", 1)+a.Signal, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = up.Body.Close()
	s.t.Cleanup(func() { _ = ws.Close() })
	s.send(ws, &signal.Message{Type: signal.Hello, Pass: a.Pass})
	if m := s.read(ws); m.Type != signal.Welcome {
		s.t.Fatalf("%+v", m)
	}
	return ws
}

func (s *site) send(ws *websocket.Conn, m *signal.Message) {
	s.t.Helper()
	if err := ws.WriteMessage(websocket.TextMessage, signal.Encode(m)); err != nil {
		s.t.Fatal(err)
	}
}

// taken waits until the edge has taken what was sent.
func (s *site) taken(ws *websocket.Conn) {
	s.t.Helper()
	s.send(ws, &signal.Message{Type: signal.Ping})
	for s.read(ws).Type != signal.Pong {
	}
}

func (s *site) read(ws *websocket.Conn) signal.Message {
	s.t.Helper()
	_ = ws.SetReadDeadline(time.Now().Add(10 * time.Second))
	_, b, err := ws.ReadMessage()
	if err != nil {
		s.t.Fatal(err)
	}
	m, err := signal.Decode(b)
	if err != nil {
		s.t.Fatal(err)
	}
	return m
}

// figures asks the data API with a bearer token.
func (s *site) figures(path, token string, into any) int {
	s.t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.server.URL+"/mesh/data/"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	resp, err := s.server.Client().Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	if into != nil && resp.StatusCode == http.StatusOK {
		if err := json.Unmarshal(b, into); err != nil {
			s.t.Fatalf("%s: %s", err, b)
		}
	}
	return resp.StatusCode
}

// TestSessionsAreSeen: what a peer says of its device and its playback is in the data API, for
// whom the site's dashboard admits.
func TestSessionsAreSeen(t *testing.T) {
	s := newSite(t, edge.Policy{Dashboard: &insight.Access{Token: "let me see"}})
	ws := s.join(signal.Device{Kind: "tv", Player: "hls.js", Label: "<b>home</b>"})
	s.send(ws, &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: "/vod/index.m3u8"}})
	s.send(ws, &signal.Message{Type: signal.ReportMsg, Report: &signal.Report{PeerBytes: 1000, OriginBytes: 100_000, StartupMS: 700, PlayedMS: 2000}})
	s.taken(ws)
	host := strings.TrimPrefix(s.server.URL, "http://")
	for token, want := range map[string]int{"let me see": 200, s.edge.Link(host, time.Minute): 200, s.edge.Link("elsewhere", time.Minute): 401, "": 401} {
		if status := s.figures("now", token, nil); status != want {
			t.Errorf("with %q: status %d, want %d", token, status, want)
		}
	}
	var got struct{ Sessions []insight.SessionNow }
	s.figures("sessions", "let me see", &got)
	if len(got.Sessions) != 1 {
		t.Fatalf("%+v", got)
	}
	n := got.Sessions[0]
	if n.Device != "tv" || n.Player != "hls.js" || n.Label != "<b>home</b>" || n.Kind != "vod" || n.StartupMS != 700 || n.OriginBytes != 100_000 {
		t.Errorf("%+v", n)
	}
	if status := s.figures("summary?split=nothing", "let me see", nil); status != 400 {
		t.Errorf("a dimension that is unknown: status %d", status)
	}
}

// TestReconnectsCountOnce: the totals of a session go on where it has another connection, whether
// the one before is still there or gone, and count once.
func TestReconnectsCountOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, edge.Policy{Dashboard: &insight.Access{Token: "let me see"}})
	a := s.open(signal.Device{})
	report := func(ws *websocket.Conn, total int64) {
		t.Helper()
		s.send(ws, &signal.Message{Type: signal.ReportMsg, Report: &signal.Report{UploadedBytes: total, PlayedMS: total, StartupMS: 700}})
		s.taken(ws)
		if r := s.edge.Numbers().Reported; r.UploadedBytes != total || r.PlayedMS != total {
			t.Errorf("the edge counts %+v, want %d", r, total)
		}
	}
	first := s.hello(a)
	report(first, 1000)
	second := s.hello(a) // beside the first, as after a change of network
	report(second, 1500)
	_ = second.Close()
	for s.edge.Numbers().Peers > 0 {
		time.Sleep(10 * time.Millisecond)
	}
	report(s.hello(a), 1700)
	var got struct{ Groups []insight.Figures }
	for end := time.Now().Add(30 * time.Second); len(got.Groups) == 0 || got.Groups[0].PlayedMS < 1700; time.Sleep(100 * time.Millisecond) {
		if s.figures("summary?since=1h", "let me see", &got); time.Now().After(end) { // a row comes each ten seconds
			t.Fatalf("the figures have %+v", got)
		}
	}
	if f := got.Groups[0]; f.PlayedMS != 1700 || f.Startups != 1 {
		t.Errorf("the figures have %d ms played and %d start-ups, want 1700 and 1", f.PlayedMS, f.Startups)
	}
}

// TestNoDashboard: without a dashboard there are no figures.
func TestNoDashboard(t *testing.T) {
	s := newSite(t, edge.Policy{})
	if status := s.figures("now", "", nil); status != http.StatusNotFound {
		t.Errorf("status %d, want 404", status)
	}
}

// TestKillSwitch: what is switched off ends at once, for whom it concerns alone, and no session is
// opened until it is switched on.
func TestKillSwitch(t *testing.T) {
	s := newSite(t, edge.Policy{})
	host := strings.TrimPrefix(s.server.URL, "http://")
	for _, w := range []edge.Switch{
		{Of: edge.SwitchAll}, {Of: edge.SwitchHost, Value: host}, {Of: edge.SwitchPresentation, Value: host + "/vod/index.m3u8"}, {Of: edge.SwitchDevice, Value: "tv"},
	} {
		tv, desktop := s.join(signal.Device{Kind: "tv"}), s.join(signal.Device{Kind: "desktop"})
		before := time.Now()
		ended, err := s.edge.SwitchOff(w)
		want := 2
		if w.Of == edge.SwitchDevice {
			want = 1
		}
		if err != nil || ended < want { // those of before may not have gone yet
			t.Errorf("%+v: %d sessions ended, want %d: %v", w, ended, want, err)
		}
		m := s.read(tv)
		if m.Type != signal.ErrorMsg || m.Code != "not_shared" || time.Since(before) > 2*time.Second {
			t.Errorf("%+v: %+v after %s", w, m, time.Since(before))
		}
		if w.Of == edge.SwitchDevice { // others play on
			s.send(desktop, &signal.Message{Type: signal.Ping})
			if m := s.read(desktop); m.Type != signal.Pong {
				t.Errorf("%+v: a desktop got %+v", w, m)
			}
		}
		body, _ := json.Marshal(signal.SessionRequest{V: 1, Swarm: s.swarm(), Device: signal.Device{Kind: "tv"}})
		if resp, _ := s.do(http.MethodPost, "/mesh/session", "", string(body)); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%+v: a session is opened: %s", w, resp.Status)
		}
		if !s.edge.SwitchOn(w) || s.edge.SwitchOn(w) {
			t.Errorf("%+v is not switched on once", w)
		}
		_ = tv.Close()
		_ = desktop.Close()
	}
	for _, w := range []edge.Switch{{Of: "planet", Value: "mars"}, {Of: edge.SwitchDevice}, {Of: edge.SwitchAll, Value: "x"}} {
		if _, err := s.edge.SwitchOff(w); err == nil {
			t.Errorf("%+v is taken", w)
		}
	}
}
