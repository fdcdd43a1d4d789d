package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestPolicyFollowsReload: what a reload changes at a site holds for the sessions
// that are open with their next renewal, though nobody opens another one.
func TestPolicyFollowsReload(t *testing.T) {
	dir := vod(t, 1, 100)
	other := "\nhttp://" + freeport.Addr(t) + " {\n mesh {\n session_ttl 5m\n }\n}"
	e := newEdge(t)
	const global = "mesh {\n turn {\n listen udp/127.0.0.1:0\n relay_address 127.0.0.1\n }\n }"
	load := func(mesh string) {
		t.Helper()
		if err := e.tryLoad(e.caddyfile(global, mesh+"\n root "+dir+"\n file_server") + other); err != nil {
			t.Fatal(err)
		}
	}
	secret := strings.Repeat("s", 32)
	for _, c := range []struct{ name, mesh, code string }{
		{"removed", "", "not_shared"},
		{"share none", "mesh {\n share none\n }", "not_shared"},
		{"tokens", "mesh {\n token jwt {\n alg HS256\n secret " + secret + "\n }\n }", "refused"},
		{"session_ttl", "mesh {\n session_ttl 2m\n }", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			load("mesh {\n session_ttl 1m\n }")
			s := e.connect(e.openSession("/vod/index.m3u8"))
			load(c.mesh)
			s.send(&signal.Message{Type: signal.Renew})
			if c.code != "" {
				if m := s.until(signal.ErrorMsg); m.Code != c.code {
					t.Errorf("code %s, want %s", m.Code, c.code)
				}
				s.closed()
				return
			}
			if m := s.until(signal.Pass); m.ExpiresMS != 120_000 {
				t.Errorf("renewed for %d ms", m.ExpiresMS)
			}
		})
	}
	t.Run("relay_only", func(t *testing.T) {
		load("mesh")
		a, b := e.connect(e.openSession("/vod/index.m3u8")), e.connect(e.openSession("/vod/index.m3u8"))
		a.announce(0)
		b.announce(4)
		load("mesh {\n relay_only\n }")
		b.send(&signal.Message{Type: signal.Offer, To: &a.a.Peer, Connection: "1", SDP: "v=0\r\na=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\n"})
		if m := a.until(signal.Offer); strings.Contains(m.SDP, "192.0.2.1") {
			t.Errorf("an address passed: %q", m.SDP)
		}
	})
}

// TestTwoMeshesOfOneHost: each block keeps its policy for its sessions.
func TestTwoMeshesOfOneHost(t *testing.T) {
	e := newEdge(t)
	e.load("", "route {\n mesh {\n path /a\n session_ttl 1m\n }\n mesh {\n path /b\n session_ttl 3m\n }\n root "+vod(t, 1, 100)+"\n file_server\n }")
	swarm := e.swarmOf("/vod/index.m3u8")
	for path, want := range map[string]int64{"/a": 60_000, "/b": 180_000} {
		_, body := e.do(http.MethodPost, path+"/session", fmt.Sprintf(`{"v":1,"swarm":%q}`, swarm))
		var a signal.SessionAnswer
		if err := json.Unmarshal(body, &a); err != nil || a.ExpiresMS != want {
			t.Fatalf("%s: %s", path, body)
		}
		ws, _, err := websocket.DefaultDialer.Dial("ws://"+e.addr+path+"/signal", nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ws.Close() })
		s := &socket{t: t, ws: ws, a: a}
		s.send(&signal.Message{Type: signal.Hello, Pass: a.Pass})
		s.until(signal.Welcome)
		e.do(http.MethodPost, "/a/session", fmt.Sprintf(`{"v":1,"swarm":%q}`, swarm)) // the other's policy does not come between
		s.send(&signal.Message{Type: signal.Renew})
		if m := s.until(signal.Pass); m.ExpiresMS != want {
			t.Errorf("%s: renewed for %d ms, want %d", path, m.ExpiresMS, want)
		}
	}
}

// TestMisplaced: where mesh cannot be reached the log says so when the config
// starts, and says what to do; where it can be, it does not.
func TestMisplaced(t *testing.T) {
	dir := vod(t, 1, 100)
	for _, c := range []struct{ name, site, hint string }{
		{"plain", "mesh\n file_server", ""},
		{"handle_path", "handle_path /live/* {\n mesh\n file_server\n }", "handle_path"},
		{"handle_path with path", "handle_path /live/* {\n mesh {\n path /live/mesh\n }\n file_server\n }", ""},
		{"under a matcher", "mesh /vod/*\n file_server", "path matcher"},
		{"in handle", "handle {\n mesh\n file_server\n }", ""},
		{"after the responder", "route {\n file_server\n mesh\n }", "file_server answers before it"},
		{"after a responder of something else", "route {\n respond /x 200\n mesh\n file_server\n }", ""},
		{"in handle_errors", "file_server\n handle_errors {\n mesh\n respond gone\n }", "handle_errors"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := newEdge(t)
			file := t.TempDir() + "/log"
			caddyfile := strings.Replace(e.caddyfile("mesh {\n stun off\n }", "root "+dir+"\n"+c.site), "output discard", "output file "+file, 1)
			if err := e.tryLoad(caddyfile); err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			warned := strings.Contains(string(b), "mesh cannot work where it stands")
			if warned != (c.hint != "") || !strings.Contains(string(b), c.hint) {
				t.Errorf("want a hint with %q, the log says\n%s", c.hint, b)
			}
			path := "/mesh/session"
			if strings.Contains(c.site, "path /live/mesh") {
				path = "/live/mesh/session"
			}
			if resp, _ := e.do(http.MethodPost, path, "{}"); c.hint == "" && resp.StatusCode != http.StatusBadRequest {
				t.Errorf("the endpoint answers %d", resp.StatusCode)
			}
		})
	}
}
