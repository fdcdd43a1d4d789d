package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/goleak"

	"github.com/viewmesh/viewmesh/caddymodule"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestReloadKeepsSessions: a reload, also one that fails, is not seen by a
// connected peer; a new policy holds for what comes after it.
func TestReloadKeepsSessions(t *testing.T) {
	dir := vod(t, 1, 100)
	e := newEdge(t)
	site := func(mesh string) string { return "mesh {\n" + mesh + "\n}\n root " + dir + "\n file_server" }
	e.load("", site("session_ttl 1m"))
	a, b := e.connect(e.openSession("/vod/index.m3u8")), e.connect(e.openSession("/vod/index.m3u8"))
	a.announce(0)
	b.announce(0)
	own, config, swarm := currentEdge(t), caddymodule.CurrentConfig(), e.swarmOf("/vod/index.m3u8")
	alive := func(when string) {
		t.Helper()
		if m := a.announce(4); m.SwarmSize != 2 {
			t.Fatalf("%s: the swarm has %d members", when, m.SwarmSize)
		}
		b.send(&signal.Message{Type: signal.Offer, To: &a.a.Peer, Connection: when, SDP: "v=0"})
		if m := a.until(signal.Offer); m.Connection != when {
			t.Fatalf("%s: got %+v", when, m)
		}
		if currentEdge(t) != own {
			t.Fatalf("%s: another edge", when)
		}
		if got := e.swarmOf("/vod/index.m3u8"); got != swarm {
			t.Fatalf("%s: the manifest names another swarm", when)
		}
	}

	alive("before")
	e.load("", site("session_ttl 2m"))
	alive("after a reload")
	if caddymodule.CurrentConfig() == config {
		t.Error("the new policy is not in force")
	}
	a.send(&signal.Message{Type: signal.Renew})
	if m := a.until(signal.Pass); m.ExpiresMS != 120_000 {
		t.Errorf("renewed for %d ms under the new policy", m.ExpiresMS)
	}
	config = caddymodule.CurrentConfig()

	for name, caddyfile := range map[string]string{
		"a config that does not adapt":     e.caddyfile("", site("nonsense")),
		"a config that does not provision": e.caddyfile("mesh {\n stun off\n keys_file /nowhere/keys.json\n}", site("")),
		"a config that does not validate":  e.caddyfile("mesh {\n stun off\n}", site("relay_only")),
		"a config that does not start":     e.caddyfile("mesh {\n stun off\n}", site("")) + "\nhttp://203.0.113.250:1 {\n bind 203.0.113.250\n}",
	} {
		if err := e.tryLoad(caddyfile); err == nil {
			t.Fatalf("%s was loaded", name)
		}
		alive("after " + name)
		if caddymodule.CurrentConfig() != config {
			t.Errorf("after %s its policy stayed in force", name)
		}
	}
	for range 5 {
		e.load("", site(""))
	}
	alive("after many reloads")
}

// TestRemovalEndsAll: when the mesh leaves the config, peers are told to come
// back at different times, and nothing of it stays.
func TestRemovalEndsAll(t *testing.T) {
	dir := vod(t, 1, 100)
	e := newEdge(t)
	plain := e.caddyfile("", "root "+dir+"\n file_server")
	if err := e.tryLoad(plain); err != nil { // so that Caddy's own goroutines are there
		t.Fatal(err)
	}
	e.get("/vod/index.m3u8")
	before := goleak.IgnoreCurrent()
	e.load("mesh {\n turn {\n listen udp/127.0.0.1:0 tcp/127.0.0.1:0\n relay_address 127.0.0.1\n }\n }", "mesh\n root "+dir+"\n file_server")
	var sockets []*socket
	for range 5 {
		s := e.connect(e.openSession("/vod/index.m3u8"))
		s.announce(0)
		sockets = append(sockets, s)
	}
	done := make(chan map[int64]bool)
	go func() {
		after := map[int64]bool{}
		for _, s := range sockets {
			for {
				m, err := s.try()
				if err != nil {
					break
				}
				if m.Type == signal.Reconnect {
					after[m.AfterMS] = true
				}
			}
			s.ws.Close()
		}
		done <- after
	}()
	if err := e.tryLoad(plain); err != nil {
		t.Fatal(err)
	}
	if after := <-done; len(after) != len(sockets) {
		t.Errorf("%d peers were told to reconnect at %d different times: %v", len(sockets), len(after), after)
	}
	if caddymodule.CurrentEdge() != nil {
		t.Error("the edge is still there")
	}
	e.client.CloseIdleConnections()
	if err := goleak.Find(before, // what Caddy itself has begun for the new config
		goleak.IgnoreAnyFunction("net/http.(*Server).Serve"),
		goleak.IgnoreAnyFunction("net/http.(*conn).serve"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/caddy/v2/modules/caddytls.(*TLS).keepStorageClean.func1"),
		goleak.IgnoreAnyFunction("github.com/caddyserver/certmagic.keepLockfileFresh")); err != nil {
		t.Error(err)
	}
	if resp, _ := e.get("/vod/index.m3u8"); resp.Header.Get(headerBootstrap) != "" {
		t.Error("the manifest still has a bootstrap")
	}
}

// TestRestartKeepsSwarms: after a restart with the same storage, a viewer that holds
// a manifest of before opens its session, is met by others, and has statements, also
// where the streams are served by a route of their own with placeholders.
func TestRestartKeepsSwarms(t *testing.T) {
	dir := vod(t, 2, 3000)
	for name, site := range map[string]string{
		"plain":  "mesh\n root " + dir + "\n file_server",
		"routes": "mesh\n handle /vod/* {\n rewrite {path}\n root " + dir + "\n file_server\n }\n handle {\n respond 404\n }",
	} {
		t.Run(name, func(t *testing.T) {
			e := newEdge(t)
			e.load("", site)
			swarm := e.swarmOf("/vod/index.m3u8")
			if err := caddy.Stop(); err != nil {
				t.Fatal(err)
			}
			e.client.CloseIdleConnections()
			e.load("", site)
			resp, b := e.do(http.MethodPost, "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"manifest":"/vod/index.m3u8"}`, swarm))
			if resp.StatusCode != http.StatusOK {
				t.Fatalf("session: %d %s", resp.StatusCode, b)
			}
			var a signal.SessionAnswer
			if err := json.Unmarshal(b, &a); err != nil {
				t.Fatal(err)
			}
			e.connect(a).announce(0)
			e.get("/vod/v1/seg-1.m4s")
			if resp, _ := e.get("/vod/v1/seg-1.m4s"); resp.Header.Get(headerSegment) == "" {
				t.Error("a segment has no statement")
			}
			if e.swarmOf("/vod/index.m3u8") != swarm {
				t.Error("the manifest names another swarm")
			}
		})
	}
}

// TestKeys: keys are kept over a restart, those of a file are used, and a bad
// file is an error that says what to do.
func TestKeys(t *testing.T) {
	dir := vod(t, 1, 100)
	e := newEdge(t)
	site := "mesh\n root " + dir + "\n file_server"
	e.load("", site)
	first := caddymodule.CurrentKeys()
	swarm := e.swarmOf("/vod/index.m3u8")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	e.load("", site)
	if again := caddymodule.CurrentKeys(); again.KeyID() != first.KeyID() {
		t.Error("another signing key after a restart")
	}
	if e.swarmOf("/vod/index.m3u8") != swarm {
		t.Error("another swarm after a restart")
	}
	file := t.TempDir() + "/keys.json"
	e.load("", site)
	own, err := first.Rotate(time.Now(), 1)
	if err != nil {
		t.Fatal(err)
	}
	private, err := own.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, private, 0o600); err != nil {
		t.Fatal(err)
	}
	e.load("mesh {\n stun off\n keys_file "+file+"\n }", site)
	if got := caddymodule.CurrentKeys(); got.KeyID() != own.KeyID() {
		t.Errorf("signs with %s, want the key of the file", got.KeyID())
	}
	if err := os.WriteFile(file, []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	err = e.tryLoad(e.caddyfile("mesh {\n stun off\n keys_file "+file+"\n }", site))
	if err == nil || !strings.Contains(err.Error(), "JWKS") || !strings.Contains(err.Error(), file) {
		t.Errorf("a bad keys_file: %v", err)
	}
}

// TestMetrics: the collectors are there after each reload, and their labels name
// nobody.
func TestMetrics(t *testing.T) {
	dir := vod(t, 1, 5000)
	e := newEdge(t)
	site := "mesh\n metrics /metrics\n root " + dir + "\n file_server"
	for round := range 3 {
		e.load("", site)
		s := e.connect(e.openSession("/vod/index.m3u8"))
		e.get("/vod/v0/index.m3u8")
		e.get("/vod/v0/seg-0.m4s")
		s.send(&signal.Message{Type: signal.ReportMsg, Report: &signal.Report{PeerBytes: 700, Stalls: 1, StallMS: 1500}})
		s.announce(0)
		_, b := e.get("/metrics")
		for _, want := range []string{
			fmt.Sprintf("mesh_sessions %d\n", round+1),
			fmt.Sprintf("mesh_origin_egress_bytes_total %d\n", 5000*(round+1)),
			fmt.Sprintf("mesh_reported_bytes_total{source=\"peer\"} %d\n", 700*(round+1)),
			fmt.Sprintf("mesh_stall_seconds_total %v\n", 1.5*float64(round+1)),
			"mesh_swarms 1\n",
		} {
			if !strings.Contains(string(b), want) {
				t.Errorf("round %d: no %q in\n%s", round, want, grep(string(b), "mesh_"))
			}
		}
		for _, secret := range []string{s.a.Peer.String(), "127.0.0.1", "/vod", e.swarmOf("/vod/index.m3u8")} {
			if strings.Contains(grep(string(b), "mesh_"), secret) {
				t.Errorf("the metrics name %s", secret)
			}
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
