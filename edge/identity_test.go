package edge_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
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
	"github.com/viewmesh/viewmesh/meshcore/integrity"
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

// statementOf returns the statement that an answer carries, or nil, and its body.
func statementOf(t *testing.T, resp *http.Response) (*tokens.Segment, string) {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	token := resp.Header.Get("Mesh-Segment")
	if token == "" {
		return nil, string(body)
	}
	return readStatement(t, token), string(body)
}

// readStatement reads a segment token without its signature.
func readStatement(t *testing.T, token string) *tokens.Segment {
	t.Helper()
	payload, err := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var c struct{ Pth, Qry, Rot string }
	if err := json.Unmarshal(payload, &c); err != nil {
		t.Fatal(err)
	}
	root, err := base64.RawURLEncoding.DecodeString(c.Rot)
	if err != nil {
		t.Fatal(err)
	}
	return &tokens.Segment{Path: c.Pth, Query: c.Qry, Root: [32]byte(root)}
}

// rootOf returns the root that a statement of a body has.
func rootOf(t *testing.T, body string) [32]byte {
	t.Helper()
	d, err := integrity.NewDigester(int64(len(body)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(d, body); err != nil {
		t.Fatal(err)
	}
	_, root, err := d.Sum()
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// TestQueriesTellResourcesApart: where playlists list one path with several queries,
// each is a resource of its own: it carries the statement of its own bytes, in its
// header and by its name, and nothing is stated of queries that are not listed.
func TestQueriesTellResourcesApart(t *testing.T) {
	get := serve(t, edge.Policy{}, func(w http.ResponseWriter, r *http.Request) {
		if q, ok := strings.CutSuffix(r.URL.Path, ".m3u8"); ok {
			reply(w, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXT-X-KEY:METHOD=AES-128,URI=\"s0.ts?key\"\n#EXTINF:2,\ns0.ts?q="+q[1:]+"&n=1\n#EXTINF:2,\ns0.ts?q="+q[1:]+"&n=2\n#EXT-X-ENDLIST\n")
			return
		}
		q := r.URL.Query()
		reply(w, strings.Repeat(fmt.Sprintf("q=%.2s&n=%.1s", q.Get("q")+"__", q.Get("n")+"_"), 1000)) // of one length for all
	})
	for range 4 {
		for _, q := range []string{"hi", "lo"} {
			get("http://h/" + q + ".m3u8")
			for _, n := range []string{"1", "2"} {
				get("http://h/s0.ts?q=" + q + "&n=" + n)
			}
			get("http://h/s0.ts?key")
		}
	}
	for _, query := range []string{"q=hi&n=1", "q=hi&n=2", "q=lo&n=1", "q=lo&n=2"} {
		for _, target := range []string{"/s0.ts?" + query, "/s0.ts?CMCD=bl%3D100&" + query, "/%730.ts?" + strings.Replace(query, "q", "%71", 1)} {
			s, body := statementOf(t, get("http://h"+target))
			if s == nil || s.Query != query || s.Root != rootOf(t, body) {
				t.Errorf("%s carries %+v", target, s)
			}
		}
		var answer struct{ Token string }
		if err := json.NewDecoder(get("http://h/mesh/segment?path=" + url.QueryEscape("/s0.ts?"+query)).Body).Decode(&answer); err != nil || answer.Token == "" {
			t.Fatalf("no statement by the name of %s: %v", query, err)
		}
		if s := readStatement(t, answer.Token); s.Query != query || s.Root != rootOf(t, strings.Repeat(query, 1000)) {
			t.Errorf("the statement by the name of %s is %+v", query, s)
		}
	}
	for _, target := range []string{"/s0.ts", "/s0.ts?q=hi", "/s0.ts?q=hi&n=3", "/s0.ts?n=1&q=hi", "/s0.ts?key"} {
		get("http://h" + target)
		if s, _ := statementOf(t, get("http://h"+target)); s != nil {
			t.Errorf("%s, which is not listed as a segment, carries %+v", target, s)
		}
		b, err := io.ReadAll(get("http://h/mesh/segment?path=" + url.QueryEscape(target)).Body)
		if err != nil || strings.Contains(string(b), `"token"`) {
			t.Errorf("a statement by the name of %s: %s (%v)", target, b, err)
		}
	}
}

// TestQueryOfEachViewer: a playlist that lists its segments with another query for
// each viewer is shared as if the query was not there: at once where the operator
// names the parameter or the path, else once three viewers have got the same bytes of
// three segments; never where the bytes differ, and no more once they do.
func TestQueryOfEachViewer(t *testing.T) {
	one := func(string) string { return "one" }
	for name, c := range map[string]struct {
		policy edge.Policy
		prefix string // of URLs, with %s for the session
		query  string
		body   func(session string) string
		before int // viewers before one whose answers are stated for all, 0 for none
		states string
		byName bool // and not with the answer
	}{
		"named":             {policy: edge.Policy{ViewerParams: []string{"sid"}}, query: "?sid=%s", body: one, before: 1},
		"named, and others": {policy: edge.Policy{ViewerParams: []string{"sid"}}, query: "?a=b&sid=%s&q=1", body: one, before: 1, states: "a=b&q=1"},
		"a path":            {policy: edge.Policy{ViewerPath: "^/session-[0-9]+"}, prefix: "/session-%s", body: one, before: 1},
		"learned":           {query: "?sid=%s", body: one, before: 4, byName: true},
		"learned of two":    {query: "?q=1&sid=%s", body: one, before: 4, byName: true, states: "q=1"},
		"other bytes":       {query: "?sid=%s", body: func(s string) string { return s }},
		"other bytes later": {query: "?sid=%s", body: func(s string) string { return map[bool]string{true: "two", false: "one"}[s == "4"] }},
	} {
		t.Run(name, func(t *testing.T) {
			session := func(r *http.Request) string {
				if s, ok := strings.CutPrefix(r.URL.Path, "/session-"); ok {
					s, _, _ = strings.Cut(s, "/")
					return s
				}
				return r.URL.Query().Get("sid")
			}
			get := serve(t, c.policy, func(w http.ResponseWriter, r *http.Request) {
				if strings.HasSuffix(r.URL.Path, ".m3u8") {
					var list strings.Builder
					for i := range 4 {
						fmt.Fprintf(&list, "#EXTINF:2,\ns%d.ts%s\n", i, strings.ReplaceAll(c.query, "%s", session(r)))
					}
					reply(w, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n"+list.String()+"#EXT-X-ENDLIST\n")
					return
				}
				w.Header().Set("Etag", strconv.Quote("e"))
				reply(w, strings.Repeat(c.body(session(r)), 1000))
			})
			of := func(session, file string) string {
				return "http://h" + strings.ReplaceAll(c.prefix+file+c.query, "%s", session)
			}
			stated := func(session string) (n int) {
				get(of(session, "/i.m3u8"))
				for i := range 4 {
					file := fmt.Sprintf("/s%d.ts", i)
					s, body := statementOf(t, get(of(session, file)))
					if s == nil && c.byName {
						var answer struct{ Token string }
						name := file + strings.ReplaceAll(c.query, "%s", session)
						if err := json.NewDecoder(get("http://h/mesh/segment?path=" + url.QueryEscape(name)).Body).Decode(&answer); err != nil {
							t.Fatal(err)
						}
						if answer.Token != "" {
							s = readStatement(t, answer.Token)
						}
					}
					if s == nil {
						continue
					}
					if s.Path != file || s.Root != rootOf(t, body) {
						t.Errorf("viewer %s: %+v is stated", session, s)
					}
					if s.Query == c.states { // and not of a resource of this viewer alone
						n++
					}
				}
				return n
			}
			for viewer := 1; viewer <= 6; viewer++ {
				n := stated(strconv.Itoa(viewer))
				switch {
				case c.before > 0 && viewer > c.before && n < 4:
					t.Errorf("viewer %d: %d of 4 are stated with the first answer", viewer, n)
				case c.before == 0 && viewer != 3 && n > 0: // the third has the last segment by the common name
					t.Errorf("viewer %d: %d are stated for all, though the bytes differ", viewer, n)
				}
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
