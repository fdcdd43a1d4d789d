package attacks

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/ask"
)

// TestStatements: what the edge states of a segment, its size and its digests, it states
// to those to whom it serves the segment, however the path is spelled.
func TestStatements(t *testing.T) {
	s := newStreams(t)
	signer, directives := signed(s)
	s.base = run(t, directives)[0]
	sign := func(path string, more map[string]any) string {
		t.Helper()
		claims := map[string]any{"exp": time.Now().Add(time.Hour).Unix(), "cdniuc": "regex:" + strings.ReplaceAll(s.base, ".", `\.`) + path}
		for k, v := range more {
			claims[k] = v
		}
		token, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		return "URISigningPackage=" + token
	}
	good, other := sign("/film/.*", nil), sign("/other/.*", nil)
	for _, path := range []string{"/film/index.m3u8", "/film/0.ts"} {
		if resp, _ := ask.Do(t, s.client(""), "GET", s.base+path+"?"+good, ""); resp.StatusCode != 200 {
			t.Fatalf("%s: %d", path, resp.StatusCode)
		}
	}
	for _, c := range []struct {
		name, path, cookie string
		want               int
	}{
		{"none", "/film/0.ts", "", 403},
		{"of another title", "/film/0.ts", other, 403},
		{"of another title, in the URL", "/film/0.ts?" + other, "", 403},
		{"of another title, under which the path begins", "/other/../film/0.ts", other, 403},
		{"of another title, with escaped dots", "/other/%2e%2e/film/0.ts", other, 403},
		{"of another title, which looks like a host", "//other/film/0.ts", other, 403},
		{"in a URL of another site", "http://elsewhere.example/film/0.ts?" + good, "", 400},
		{"beside the path", "/film/0.ts&" + good, "", 403},
		{"expired", "/film/0.ts", sign("/film/.*", map[string]any{"exp": time.Now().Unix() - 1}), 403},
		{"one-time", "/film/0.ts", sign("/film/.*", map[string]any{"jti": "1"}), 403},
		{"for what is not listed", "/film/x.ts", "", 403},
		{"cookie", "/film/0.ts", good, 200},
		{"in the query", "/film/0.ts?" + good, "", 200},
		{"in the path", "/film;" + good + "/0.ts", "", 200},
		{"in another spelling", "/film/./%30.ts", good, 200},
	} {
		header := []string{}
		if c.cookie != "" {
			header = []string{"Cookie", c.cookie}
		}
		query := "path=" + url.QueryEscape(c.path)
		if c.name == "beside the path" {
			query = "path=" + c.path
		}
		resp, body := ask.Do(t, s.client(""), "GET", s.base+"/mesh/segment?"+query, "", header...)
		if resp.StatusCode != c.want || strings.Contains(body, `"token"`) != (c.want == 200) {
			t.Errorf("%s: %d %s, want %d", c.name, resp.StatusCode, body, c.want)
		}
		if cached := resp.Header.Get("Cache-Control"); c.want == 200 && !strings.Contains(cached, "private") {
			t.Errorf("%s: Cache-Control is %q", c.name, cached)
		}
	}
	for _, method := range []string{"HEAD", "POST", "OPTIONS", "PUT"} {
		if _, body := ask.Do(t, s.client(""), method, s.base+"/mesh/segment?path=/film/0.ts", ""); strings.Contains(body, `"hashes"`) {
			t.Errorf("%s without a token: %s", method, body)
		}
	}
}

// upstream serves a folder without the edge's knowing the files.
func upstream(t *testing.T, dir string) (address string) {
	t.Helper()
	server := httptest.NewServer(http.FileServer(http.Dir(dir)))
	t.Cleanup(server.Close)
	return fmt.Sprint(server.Listener.Addr())
}
