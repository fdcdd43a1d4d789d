package edge_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// serve puts an edge before a handler and returns a function that asks it.
func serve(t *testing.T, p edge.Policy, next http.HandlerFunc) func(target string, header ...string) *http.Response {
	t.Helper()
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	e, err := edge.New(edge.Config{Secret: make([]byte, 32), Keys: func() *tokens.Keyring { return keys }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	handler := e.Wrap(p, next)
	return func(target string, header ...string) *http.Response {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		for i := 0; i+1 < len(header); i += 2 {
			if header[i] == "Host" {
				r.Host = header[i+1]
			} else {
				r.Header.Set(header[i], header[i+1])
			}
		}
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w.Result()
	}
}

// reply answers with a body of known length.
func reply(w http.ResponseWriter, body string) {
	w.Header().Set("Content-Type", "video/mp2t")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write([]byte(body))
}

// TestTwoQueriesOfOnePath: where two playlists list one path with two queries,
// neither answer carries the statement of the other's bytes, and no statement is
// handed out by the path.
func TestTwoQueriesOfOnePath(t *testing.T) {
	get := serve(t, edge.Policy{}, func(w http.ResponseWriter, r *http.Request) {
		if q, ok := strings.CutSuffix(r.URL.Path, ".m3u8"); ok {
			reply(w, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns0.ts?q="+q[1:]+"\n#EXT-X-ENDLIST\n")
			return
		}
		reply(w, strings.Repeat(r.URL.RawQuery, 1000)) // of one length for both
	})
	for range 3 {
		for _, q := range []string{"hi", "lo"} {
			get("http://h/" + q + ".m3u8")
			get("http://h/s0.ts?q=" + q)
		}
	}
	for _, q := range []string{"hi", "lo"} {
		if h := get("http://h/s0.ts?q=" + q).Header; h.Get("Mesh-Segment") != "" {
			t.Errorf("%s carries a statement", q)
		}
	}
	resp := get("http://h/mesh/segment?path=" + url.QueryEscape("/s0.ts"))
	if b, err := io.ReadAll(resp.Body); err != nil || strings.Contains(string(b), `"token"`) {
		t.Errorf("a statement by the path: %s (%v)", b, err)
	}
}

// TestQueryOfEachViewer: a playlist that lists its segments with another query for
// each viewer is shared, while the bytes are the same for all: at once where the
// operator names the parameter. Measures of the player are no part of a name.
func TestQueryOfEachViewer(t *testing.T) {
	for name, c := range map[string]struct {
		policy edge.Policy
		body   func(query string) string
		shared bool
	}{
		"the same bytes":  {body: func(string) string { return "one" }, shared: true},
		"named":           {policy: edge.Policy{ViewerParams: []string{"sid"}}, body: func(string) string { return "one" }, shared: true},
		"other bytes":     {body: func(q string) string { return q[:7] }, shared: false},
		"other bytes, ok": {body: func(q string) string { return "sid=" + q[4:5] }, shared: false},
	} {
		t.Run(name, func(t *testing.T) {
			get := serve(t, c.policy, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, ".m3u8") {
					reply(w, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns0.ts?sid="+r.URL.Query().Get("sid")+"\n#EXT-X-ENDLIST\n")
					return
				}
				w.Header().Set("Etag", strconv.Quote(c.body(r.URL.RawQuery)))
				reply(w, strings.Repeat(c.body(r.URL.RawQuery), 1000))
			})
			for _, sid := range []string{"111", "222"} {
				get("http://h/i.m3u8?sid=" + sid)
				get("http://h/s0.ts?sid=" + sid + "&CMCD=bl%3D100")
			}
			resp := get("http://h/s0.ts?sid=222&CMCD=bl%3D200")
			if shared := resp.Header.Get("Mesh-Segment") != ""; shared != c.shared {
				t.Errorf("the answer carries a statement: %v", shared)
			}
			b, err := io.ReadAll(get("http://h/mesh/segment?path=" + url.QueryEscape("/s0.ts")).Body)
			if shared := strings.Contains(string(b), `"token"`); err != nil || shared != c.shared {
				t.Errorf("a statement by the path: %s (%v)", b, err)
			}
		})
	}
}

// TestSpellings: two spellings of a resource are one: the statement of a segment
// goes with each, and a key is never shared by whatever spelling it is listed.
func TestSpellings(t *testing.T) {
	get := serve(t, edge.Policy{}, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".m3u8") {
			reply(w, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI=\"key.bin\"\n"+
				"#EXTINF:2,\n12:30:00.ts\n#EXTINF:2,\nk%65y.bin\n#EXTINF:2,\n.//key.bin\n#EXTINF:2,\nx/../key.bin\n#EXTINF:2,\ns%7e.ts\n#EXT-X-ENDLIST\n")
			return
		}
		reply(w, strings.Repeat("x", 3000))
	})
	get("http://h/v/i.m3u8")
	for _, target := range []string{"/v/12:30:00.ts", "/v/./12:30:00.ts", "/v/x/../12:30:00.ts", "/v/12:30:00%2ets", "/v/s~.ts", "/v/s%7E.ts", "/%76/s~.ts"} {
		get("http://h" + target)
		if get("http://h"+target).Header.Get("Mesh-Segment") == "" {
			t.Errorf("%s carries no statement", target)
		}
	}
	if get("http://h/v/12:30:00.ts", "Host", "H:80").Header.Get("Mesh-Segment") == "" {
		t.Error("the host with the default port is another host")
	}
	for _, target := range []string{"/v/key.bin", "/v/k%65y.bin", "/v//key.bin", "/v/./key.bin", "/v/x/../key.bin", "/v/%6b%65%79.bin"} {
		get("http://h" + target)
		if h := get("http://h" + target).Header; h.Get("Mesh-Segment") != "" {
			t.Errorf("%s, a key, carries a statement", target)
		}
	}
}

// TestNamesThatAreOne: under each of hosts a viewer gets the swarm of the first, and a
// session for it, whose signaling takes the pass under any of them; what the relay is
// called is still what the viewer asked for. Other names are sites of their own.
func TestNamesThatAreOne(t *testing.T) {
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var asked []string
	e, err := edge.New(edge.Config{Secret: make([]byte, 32), Keys: func() *tokens.Keyring { return keys },
		ICEServers: func(r edge.ICERequest) []signal.ICEServer {
			asked = append(asked, r.Host)
			return nil
		}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.Close)
	server := httptest.NewServer(e.Wrap(edge.Policy{Hosts: []string{"Video.example.com", "v6.example.com", "[2001:db8::1]:8080"}, Stats: true},
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, ".m3u8") {
				reply(w, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\ns0.ts\n#EXT-X-ENDLIST\n")
				return
			}
			reply(w, strings.Repeat("x", 1000))
		})))
	t.Cleanup(server.Close)
	ask := func(method, host, path, body string) *http.Response {
		t.Helper()
		r, err := http.NewRequest(method, server.URL+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { resp.Body.Close() })
		return resp
	}
	swarms := map[string]string{}
	for _, host := range []string{"video.example.com", "V6.example.com:80", "[2001:db8::1]:8080", "other.example.com"} {
		_, rest, _ := strings.Cut(ask("GET", host, "/live.m3u8", "").Header.Get("Mesh-Bootstrap"), `swarm="`)
		swarms[host], _, _ = strings.Cut(rest, `"`)
		_, _ = io.Copy(io.Discard, ask("GET", host, "/s0.ts", "").Body)
	}
	first := swarms["video.example.com"]
	if first == "" || swarms["V6.example.com:80"] != first || swarms["[2001:db8::1]:8080"] != first || swarms["other.example.com"] == first {
		t.Fatalf("the swarms are %v", swarms)
	}
	session := func(host string) (a signal.SessionAnswer, status int) {
		resp := ask("POST", host, "/mesh/session", `{"v":1,"swarm":"`+first+`","device":{}}`)
		_ = json.NewDecoder(resp.Body).Decode(&a)
		return a, resp.StatusCode
	}
	if _, status := session("other.example.com"); status != http.StatusForbidden {
		t.Errorf("another name gets a session: %d", status)
	}
	asked = nil
	a, status := session("v6.example.com")
	if status != http.StatusOK || !slices.Equal(asked, []string{"v6.example.com"}) {
		t.Fatalf("%d, ICE servers for %v", status, asked)
	}
	if b, _ := io.ReadAll(ask("GET", "[2001:db8::1]:8080", "/mesh/segment?path=/s0.ts", "").Body); !strings.Contains(string(b), `"token"`) {
		t.Errorf("no statement under the third name: %s", b)
	}
	for host, want := range map[string]signal.Type{"v6.example.com": signal.Welcome, "video.example.com": signal.Welcome, "other.example.com": signal.ErrorMsg} {
		ws, resp, err := websocket.DefaultDialer.Dial("ws"+strings.TrimPrefix(server.URL, "http")+"/mesh/signal", http.Header{"Host": {host}})
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		_ = ws.WriteMessage(websocket.TextMessage, signal.Encode(&signal.Message{Type: signal.Hello, Pass: a.Pass}))
		_, frame, err := ws.ReadMessage()
		ws.Close()
		if m, bad := signal.Decode(frame); err != nil || bad != nil || m.Type != want {
			t.Errorf("hello under %s: %s (%v)", host, frame, err)
		}
	}
	if b, _ := io.ReadAll(ask("GET", "v6.example.com", "/mesh/stats", "").Body); !strings.Contains(string(b), first) {
		t.Errorf("the numbers under another name are %s", b)
	}
}

// TestHostsThatAreNone: hosts that cannot be in a URL, or a single one, are refused.
func TestHostsThatAreNone(t *testing.T) {
	for _, hosts := range [][]string{{"a.example.com"}, {"a.example.com", ""}, {"a.example.com", "https://b.example.com"}, {"a.example.com", "b c"}, {"a.example.com/x", "b"}} {
		p := edge.Policy{Hosts: hosts}
		p.Default()
		if err := p.Validate(); err == nil || !strings.HasPrefix(err.Error(), "hosts ") {
			t.Errorf("%q: %v", hosts, err)
		}
	}
}
