package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// TestSessionAnswer: the answer says what the site's options say, and its pass
// and credentials are good for as long as they should.
func TestSessionAnswer(t *testing.T) {
	e := newEdge(t)
	e.load(`mesh {
		turn {
			listen udp/127.0.0.1:0 tcp/127.0.0.1:0
			relay_address 127.0.0.1
		}
	}`, `mesh {
		session_ttl 2m
		upload_limit 1MiB
		upload_ratio 1.5
		neighbors 7
		announce_interval 30s
		report_interval 5s
		relay_only
	}
	root `+vod(t, 1, 100)+`
	file_server`)
	swarm := e.swarmOf("/vod/index.m3u8")
	resp, b := e.do(http.MethodPost, "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"mode":"receive_only","device":{"kind":"tv"}}`, swarm))
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d, Cache-Control %q: %s", resp.StatusCode, resp.Header.Get("Cache-Control"), b)
	}
	var a signal.SessionAnswer
	if err := json.Unmarshal(b, &a); err != nil {
		t.Fatal(err)
	}
	want := signal.Limits{Neighbors: 7, UploadBPS: 8 << 20, UploadRatio: 1.5, ReceiveOnly: true}
	if a.Limits != want || a.ExpiresMS != 120_000 || a.AnnounceMS != 30_000 || a.ReportMS != 5_000 || !a.RelayOnly {
		t.Errorf("the answer is %+v", a)
	}
	v, err := tokens.NewVerifier(a.Keys)
	if err != nil {
		t.Fatal(err)
	}
	p, err := v.VerifyPass(a.Pass, time.Now())
	if err != nil || p.Peer != a.Peer.String() || p.Swarm != swarm || !p.ReceiveOnly || !p.Covers("/vod/v0/seg-0.m4s") {
		t.Errorf("the pass is %+v (%v)", p, err)
	}
	if _, err := v.VerifyPass(a.Pass, time.Now().Add(121*time.Second)); err == nil {
		t.Error("the pass is good after session_ttl")
	}
	if len(a.ICEServers) != 2 || !strings.HasPrefix(a.ICEServers[0].URLs[0], "stun:127.0.0.1:") ||
		len(a.ICEServers[1].URLs) != 2 || !strings.HasSuffix(a.ICEServers[1].Username, ":"+a.Peer.String()) {
		t.Errorf("ICE servers: %+v", a.ICEServers)
	}
}

// TestSessionProblems: each refusal is a problem (RFC 9457) that says what is
// wrong, and in which field.
func TestSessionProblems(t *testing.T) {
	e := newEdge(t)
	e.load("", "mesh {\n stats off\n origins https://www.example.com\n }\n root "+vod(t, 1, 100)+"\n file_server")
	swarm := e.swarmOf("/vod/index.m3u8")
	good := fmt.Sprintf(`{"v":1,"swarm":%q}`, swarm)
	for _, c := range []struct {
		name, method, path, body string
		header                   []string
		status                   int
		code, field              string
	}{
		{name: "no JSON", body: "hello", status: 400, code: "bad_json"},
		{name: "no object", body: "[1]", status: 400, code: "bad_json"},
		{name: "empty", status: 400, code: "bad_json"},
		{name: "version", body: `{"v":2,"swarm":"x"}`, status: 400, code: "bad_field", field: "v"},
		{name: "no swarm", body: `{"v":1}`, status: 400, code: "bad_field", field: "swarm"},
		{name: "type", body: `{"v":1,"swarm":7}`, status: 400, code: "bad_field", field: "swarm"},
		{name: "battery", body: fmt.Sprintf(`{"v":1,"swarm":%q,"device":{"battery":2}}`, swarm), status: 400, code: "bad_field", field: "device.battery"},
		{name: "too large", body: `{"v":1,"swarm":"` + strings.Repeat("x", signal.MaxSession) + `"}`, status: 413, code: "too_large"},
		{name: "swarm of nobody", body: `{"v":1,"swarm":"AAAAAAAAAAAAAAAAAAAAAA"}`, status: 403, code: "unknown_swarm"},
		{name: "swarm of a URL", body: `{"v":1,"swarm":"` + e.addr + `/vod/"}`, status: 403, code: "unknown_swarm"},
		{name: "foreign page", body: good, header: []string{"Origin", "https://evil.example"}, status: 403, code: "origin"},
		{name: "null origin", body: good, header: []string{"Origin", "null"}, status: 403, code: "origin"},
		{name: "method", method: "GET", body: good, status: 405, code: "method"},
		{name: "signal without upgrade", method: "GET", path: "/mesh/signal", status: 426, code: "upgrade_required"},
		{name: "segment without path", method: "GET", path: "/mesh/segment", status: 400, code: "bad_field", field: "path"},
		{name: "segment with bad range", method: "GET", path: "/mesh/segment?path=/x&offset=-1", status: 400, code: "bad_field", field: "offset"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.method == "" {
				c.method = http.MethodPost
			}
			if c.path == "" {
				c.path = "/mesh/session"
			}
			resp, b := e.do(c.method, c.path, c.body, c.header...)
			var p problem
			if err := json.Unmarshal(b, &p); err != nil {
				t.Fatalf("%d, no problem: %s", resp.StatusCode, b)
			}
			if resp.StatusCode != c.status || p.Status != c.status || p.Code != c.code || p.Field != c.field || p.Detail == "" || p.Title == "" {
				t.Errorf("%d: %+v", resp.StatusCode, p)
			}
			if resp.Header.Get("Content-Type") != "application/problem+json" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("header: %v", resp.Header)
			}
			if o := resp.Header.Get("Access-Control-Allow-Origin"); o != "" {
				t.Errorf("Access-Control-Allow-Origin: %q", o)
			}
		})
	}
	if resp, _ := e.get("/mesh/stats"); resp.StatusCode != http.StatusNotFound {
		t.Errorf("stats, which are off: %d", resp.StatusCode)
	}
}

// TestCORS: pages of the same host and of origins may use the endpoints; those of
// a host that origins names may send the viewer's cookies along.
func TestCORS(t *testing.T) {
	e := newEdge(t)
	named, other, own := "https://www.example.com", "https://other.example", "http://"+e.addr
	for _, c := range []struct{ origins, origin, allowed, credentials string }{
		{named, named, named, "true"},
		{named, own, own, ""},
		{named, other, "", ""},
		{"*", other, other, ""},
		{"* " + named, named, named, "true"},
		{"* " + named, "null", "null", ""},
	} {
		e.load("", "mesh {\n origins "+c.origins+"\n }\n root "+vod(t, 1, 100)+"\n file_server")
		body := fmt.Sprintf(`{"v":1,"swarm":%q}`, e.swarmOf("/vod/index.m3u8"))
		pre, _ := e.do(http.MethodOptions, "/mesh/session", "", "Origin", c.origin, "Access-Control-Request-Method", "POST")
		post, _ := e.do(http.MethodPost, "/mesh/session", body, "Origin", c.origin)
		want := [2]int{http.StatusNoContent, http.StatusOK}
		if c.allowed == "" {
			want = [2]int{http.StatusForbidden, http.StatusForbidden}
		}
		if got := [2]int{pre.StatusCode, post.StatusCode}; got != want {
			t.Errorf("%+v: preflight and session %d, want %d", c, got, want)
		}
		if m := pre.Header.Get("Access-Control-Allow-Methods"); strings.Contains(m, "POST") != (c.allowed != "") {
			t.Errorf("%+v: Access-Control-Allow-Methods %q", c, m)
		}
		for _, resp := range []*http.Response{pre, post} {
			h := resp.Header
			if h.Get("Access-Control-Allow-Origin") != c.allowed || h.Get("Access-Control-Allow-Credentials") != c.credentials || h.Get("Vary") != "Origin" {
				t.Errorf("%+v: %d %v", c, resp.StatusCode, h)
			}
		}
	}
}

// TestSessionLimits: a full server says so, and one address cannot open sessions
// without end.
func TestSessionLimits(t *testing.T) {
	e := newEdge(t)
	e.load("", "mesh {\n max_sessions 1\n }\n root "+vod(t, 1, 100)+"\n file_server")
	a := e.openSession("/vod/index.m3u8")
	s := e.connect(a)
	resp, _ := e.do(http.MethodPost, "/mesh/session", "{}")
	if resp.StatusCode != http.StatusServiceUnavailable || resp.Header.Get("Retry-After") == "" {
		t.Errorf("a full server answers %d, Retry-After %q", resp.StatusCode, resp.Header.Get("Retry-After"))
	}
	s.ws.Close()
	e.disconnected(0)
	const burst = 1000
	for range 3 * burst { // tokens come back meanwhile
		resp, _ = e.do(http.MethodPost, "/mesh/session", "{}")
		if resp.StatusCode == http.StatusTooManyRequests {
			break
		}
	}
	if resp.StatusCode != http.StatusTooManyRequests || resp.Header.Get("Retry-After") == "" {
		t.Errorf("after %d sessions from one address: %d", burst, resp.StatusCode)
	}
}
