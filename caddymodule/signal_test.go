package caddymodule_test

import (
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/caddymodule"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// waitFor waits for a condition that another goroutine makes true.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("it did not come true")
		}
	}
}

// TestSignalAbuse: who breaks the rules is told and closed, and the others of
// the swarm notice nothing.
func TestSignalAbuse(t *testing.T) {
	e := newEdge(t)
	e.load("", "mesh\n root "+vod(t, 1, 100)+"\n file_server")
	witness := e.connect(e.openSession("/vod/index.m3u8"))
	witness.announce(0)
	swarm := e.swarmOf("/vod/index.m3u8")
	keys := caddymodule.CurrentKeys()
	sign := func(p tokens.Pass) string {
		s, err := keys.SignPass(p)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	now := time.Now()
	for _, c := range []struct {
		name  string
		hello bool // a good hello comes first
		kind  int
		frame string
		code  string
	}{
		{"not JSON", true, websocket.TextMessage, "hello", "bad_json"},
		{"binary", true, websocket.BinaryMessage, `{"type":"leave"}`, "bad_json"},
		{"unknown type", true, websocket.TextMessage, `{"type":"dance"}`, "unknown_type"},
		{"too large", true, websocket.TextMessage, `{"type":"leave","x":"` + strings.Repeat("x", signal.MaxMessage) + `"}`, "too_large"},
		{"much too large", true, websocket.TextMessage, strings.Repeat("x", 900_000), "too_large"},
		{"field", true, websocket.TextMessage, `{"type":"announce","want":-1}`, "bad_field"},
		{"no hello", false, websocket.TextMessage, `{"type":"announce"}`, "hello_first"},
		{"no pass", false, websocket.TextMessage, `{"type":"hello"}`, "bad_field"},
		{"bad pass", false, websocket.TextMessage, `{"type":"hello","pass":"x.y.z"}`, "bad_pass"},
		{"expired", false, websocket.TextMessage, `{"type":"hello","pass":"` + sign(tokens.Pass{
			Peer: "00000000000000aa", Swarm: swarm, Scope: []string{"/"}, Issued: now.Add(-time.Hour), Expires: now.Add(-time.Minute)}) + `"}`, "bad_pass"},
		{"another swarm", false, websocket.TextMessage, `{"type":"hello","pass":"` + sign(tokens.Pass{
			Peer: "00000000000000aa", Swarm: "elsewhere", Scope: []string{"/"}, Issued: now, Expires: now.Add(time.Minute)}) + `"}`, "bad_pass"},
		{"no peer", false, websocket.TextMessage, `{"type":"hello","pass":"` + sign(tokens.Pass{
			Peer: "nobody", Swarm: swarm, Scope: []string{"/"}, Issued: now, Expires: now.Add(time.Minute)}) + `"}`, "bad_pass"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var s *socket
			if c.hello {
				s = e.connect(e.openSessionIn(swarm))
			} else {
				s = e.dial(nil)
			}
			if err := s.ws.WriteMessage(c.kind, []byte(c.frame)); err != nil {
				t.Fatal(err)
			}
			if m := s.until(signal.ErrorMsg); m.Code != c.code || m.Detail == "" {
				t.Errorf("answer: %+v, want code %s", m, c.code)
			}
			s.closed()
		})
	}
	witness.announce(0)
	e.disconnected(1)
}

// TestSignalOrigin: a page of another site cannot open the socket.
func TestSignalOrigin(t *testing.T) {
	e := newEdge(t)
	e.load("", "mesh\n root "+vod(t, 1, 100)+"\n file_server")
	_, resp, err := websocket.DefaultDialer.Dial("ws://"+e.addr+"/mesh/signal", http.Header{"Origin": {"http://evil.example"}})
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page got %v (%v)", resp, err)
	}
	e.dial(http.Header{"Origin": {"http://" + e.addr}})
}

// TestRenewAndReplace: renew gives a new pass for the same peer; a second
// connection of a peer replaces the first.
func TestRenewAndReplace(t *testing.T) {
	e := newEdge(t)
	e.load("", "mesh {\n session_ttl 1m\n }\n root "+vod(t, 1, 100)+"\n file_server")
	a := e.openSession("/vod/index.m3u8")
	s := e.connect(a)
	s.send(&signal.Message{Type: signal.Renew})
	m := s.until(signal.Pass)
	p, err := e.verifier().VerifyPass(m.Pass, time.Now())
	if err != nil || p.Peer != a.Peer.String() || m.ExpiresMS != 60_000 {
		t.Errorf("renewed pass: %+v, %d ms (%v)", p, m.ExpiresMS, err)
	}
	s.send(&signal.Message{Type: signal.Renew})
	if m := s.next(); m.Type != signal.ErrorMsg || m.Code != "too_soon" {
		t.Errorf("renewed twice at once: %+v", m)
	}
	a.Pass = m.Pass
	again := e.connect(a)
	if m := s.until(signal.ErrorMsg); m.Code != "replaced" {
		t.Errorf("the first connection got %+v", m)
	}
	s.closed()
	again.announce(0)
	if n := len(currentEdge(t).Stats(e.addr).Swarms); n != 1 {
		t.Errorf("%d swarms", n)
	}
}

// TestStats: the numbers of the peers and of the edge stand side by side.
func TestStats(t *testing.T) {
	e := newEdge(t)
	e.load("", "mesh {\n stats\n }\n root "+vod(t, 1, 5000)+"\n file_server")
	s := e.connect(e.openSession("/vod/index.m3u8"))
	e.get("/vod/v0/index.m3u8")
	e.get("/vod/v0/seg-0.m4s")
	e.get("/vod/v0/seg-0.m4s", "Range", "bytes=0-99")
	s.send(&signal.Message{Type: signal.ReportMsg, Report: &signal.Report{PeerBytes: 3000, OriginBytes: 1000, RelayedBytes: 10}})
	s.announce(0) // the report has been taken
	st := decodeStats(t, e)
	if st.Sessions != 1 || len(st.Swarms) != 1 || st.Swarms[0].Presentation != "/vod/index.m3u8" || st.Swarms[0].Peers != 1 {
		t.Errorf("%+v", st)
	}
	if st.PeerBytes != 3000 || st.OriginBytes != 1000 || st.RelayedBytes != 10 || st.Offload != 0.75 || st.Swarms[0].Offload != 0.75 {
		t.Errorf("traffic: %+v", st)
	}
	if st.OriginEgressBytes != 5100 {
		t.Errorf("egress is %d", st.OriginEgressBytes)
	}
	// Nobody got more from the origin than this edge has sent, unless a proxy stands in front.
	s.send(&signal.Message{Type: signal.ReportMsg, Report: &signal.Report{PeerBytes: 3000, OriginBytes: 9000, RelayedBytes: 10}})
	s.announce(0)
	if st := decodeStats(t, e); st.OriginBytes != 5100 || st.DoubtedBytes != 3900 || st.Swarms[0].DoubtedBytes != 3900 {
		t.Errorf("traffic with a false report: %+v", st)
	}
	if n := currentEdge(t).Numbers(); n.Reported.OriginBytes != 5100 || n.DoubtedBytes != 3900 {
		t.Errorf("numbers with a false report: %+v", n)
	}
	s.send(&signal.Message{Type: signal.Leave})
	s.closed()
	if st := decodeStats(t, e); st.Sessions != 0 || st.PeerBytes != 3000 {
		t.Errorf("after the peer left: %+v", st)
	}
}

// TestAccessLogOfSignaling: the access log of a site says 101 for a signaling WebSocket,
// and 426 for a request that opens none.
func TestAccessLogOfSignaling(t *testing.T) {
	e := newEdge(t)
	file := filepath.Join(t.TempDir(), "access.log")
	e.load("", "log {\n output file "+file+"\n }\n encode gzip\n mesh\n root "+vod(t, 1, 100)+"\n file_server")
	e.connect(e.openSession("/vod/index.m3u8")).announce(0)
	e.get("/mesh/signal")
	var status []int
	waitFor(t, func() bool {
		b, err := os.ReadFile(file)
		if err != nil {
			return false
		}
		status = nil
		for line := range strings.Lines(string(b)) {
			var entry struct {
				Status  int
				Request struct{ URI string }
			}
			if json.Unmarshal([]byte(line), &entry) == nil && entry.Request.URI == "/mesh/signal" {
				status = append(status, entry.Status)
			}
		}
		return len(status) == 2
	})
	if status[0] != http.StatusSwitchingProtocols || status[1] != http.StatusUpgradeRequired {
		t.Errorf("the access log says %v", status)
	}
}
