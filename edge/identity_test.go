package edge_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/edge"
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
