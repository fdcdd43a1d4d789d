package attacks

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// personal is an upstream with a stream in each folder, whose segments serve answers.
func personal(t *testing.T, serve http.HandlerFunc) (address string) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasSuffix(r.URL.Path, ".m3u8") {
			serve(w, r)
			return
		}
		list := "#EXTM3U\n#EXT-X-TARGETDURATION:1\n"
		for i := range 6 {
			list += fmt.Sprintf("#EXTINF:1,\n%d.ts\n", i)
		}
		w.Header().Set("Content-Type", "application/vnd.apple.mpegurl")
		fmt.Fprint(w, list+"#EXT-X-ENDLIST\n")
	}))
	t.Cleanup(up.Close)
	return strings.TrimPrefix(up.URL, "http://")
}

// stated reports whether the edge states anything of a segment, in the header of an answer
// or by itself.
func stated(t *testing.T, client *http.Client, base, path string, header ...string) bool {
	t.Helper()
	for range 2 { // the second time it knows the digest
		if resp, _ := ask.Do(t, client, "GET", base+path, "", header...); resp.StatusCode != 200 {
			t.Fatalf("%s: %d", path, resp.StatusCode)
		} else if resp.Header.Get("Mesh-Segment") != "" {
			return true
		}
	}
	_, body := ask.Do(t, client, "GET", base+"/mesh/segment?path="+url.QueryEscape(path), "", header...)
	var answer signal.SegmentStatement
	if err := json.Unmarshal([]byte(body), &answer); err != nil {
		t.Fatalf("%s: %s", path, body)
	}
	return answer.Token != ""
}

// TestPersonalAnswers: nothing is stated of an answer that its header makes one viewer's,
// in whatever spelling, nor of one to credentials that does not say it is for all.
func TestPersonalAnswers(t *testing.T) {
	type answer struct {
		header      string // NAME: VALUE, with | between
		credentials bool
		shared      bool
	}
	answers := []answer{
		{"", false, true},
		{"Cache-Control: max-age=60", false, true},
		{"Vary: Accept-Encoding", false, true},
		{"Cache-Control: no-cache", false, true},
		{"Cache-Control: private", false, false},
		{"Cache-Control: PRIVATE", false, false},
		{"Cache-Control: max-age=60;private", false, false},
		{"Cache-Control: max-age=60\tprivate", false, false},
		{"Cache-Control: private=\"x-user\"", false, false},
		{"Cache-Control: public|Cache-Control: no-store", false, false},
		{"CDN-Cache-Control: private", false, false},
		{"CDN-Cache-Control: max-age=60; no-store", false, false},
		{"Cloudflare-CDN-Cache-Control: private", false, false},
		{"Surrogate-Control: no-store, content=\"ESI/1.0\"", false, false},
		{"Surrogate-Control: content=\"ESI/1.0\";private", false, false},
		{"Vary: *", false, false},
		{"Vary: Cookie", false, false},
		{"Vary: Accept-Encoding; User-Agent", false, false},
		{"Vary: Accept-Encoding|Vary: x-viewer", false, false},
		{"Set-Cookie: mark=1", false, false},
		{"Set-Cookie2: mark=1", false, false},
		{"", true, false},
		{"Cache-Control: max-age=60", true, false},
		{"Cache-Control: ext=\"public\"", true, false},
		{"Cache-Control: max-age=60, foo=public", true, false},
		{"Cache-Control: no-cache=\"public\"", true, false},
		{"CDN-Cache-Control: public", true, false},
		{"Cache-Control: public, private", true, false},
		{"Cache-Control: public", true, true},
		{"Cache-Control: PUBLIC, max-age=60", true, true},
		{"Cache-Control: must-revalidate", true, true},
		{"Cache-Control: s-maxage=60", true, true},
	}
	base := run(t, "mesh\n reverse_proxy "+personal(t, func(w http.ResponseWriter, r *http.Request) {
		var n int
		_, _ = fmt.Sscanf(r.URL.Path, "/%d/", &n)
		for line := range strings.SplitSeq(answers[n].header, "|") {
			if name, value, ok := strings.Cut(line, ": "); ok {
				w.Header().Add(name, value)
			}
		}
		w.Header().Set("Content-Length", "5000")
		_, _ = w.Write(bytes.Repeat([]byte{byte(n)}, 5000))
	}))[0]
	client := clientFrom(t, "", "127.0.0.1")
	for n, a := range answers {
		ask.Do(t, client, "GET", fmt.Sprintf("%s/%d/index.m3u8", base, n), "")
		schemes := []string{""}
		if a.credentials {
			schemes = []string{"Basic dTpw", "Bearer x", "Digest username=\"u\"", "x"}
		}
		for i, scheme := range schemes {
			var header []string
			if scheme != "" {
				header = []string{"Authorization", scheme}
			}
			if got := stated(t, client, base, fmt.Sprintf("/%d/%d.ts", n, i), header...); got != a.shared {
				t.Errorf("%q, with credentials %q: stated %v", a.header, scheme, got)
			}
		}
	}
}

// TestMarkedAnswers: where cookies, credentials or viewer tokens tell viewers apart, the
// first answer of an upstream that marks one viewer's bytes ends the sharing, before
// another goes out under the statement of the unmarked; and sessions end with it.
func TestMarkedAnswers(t *testing.T) {
	serve := personal(t, func(w http.ResponseWriter, r *http.Request) {
		body := bytes.Repeat([]byte(r.URL.Path), 4000)
		if strings.Contains(fmt.Sprint(r.Header["Cookie"], r.Header["Authorization"]), "rare") {
			copy(body[len(body)/2:], "marked")
		}
		w.Header().Set("Etag", `"same"`)
		w.Header().Set("Cache-Control", "public")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
	s := newStreams(t)
	site := "mesh {\n report_interval 1s\n%s\n }\n metrics /metrics\n reverse_proxy " + serve
	token := fmt.Sprintf("token jwt {\n alg EdDSA\n jwks_file %s/../login.json\n paths_claim paths\n }", s.dir)
	urls := run(t, fmt.Sprintf(site, ""), fmt.Sprintf(site, token))
	usual := s.tokenOf("usual", "/", time.Hour)
	for n, c := range []struct {
		name        string
		base        string
		usual, rare []string
	}{
		{"cookies", urls[0], []string{"Cookie", "id=usual"}, []string{"Cookie", "id=rare"}},
		{"a cookie that others lack", urls[0], nil, []string{"Cookie", "id=rare"}},
		{"credentials", urls[0], []string{"Authorization", "Basic usual"}, []string{"Authorization", "Basic rare"}},
		{"viewer tokens and cookies", urls[1], []string{"Authorization", "Bearer " + usual}, []string{"Authorization", "Bearer " + usual, "Cookie", "id=rare"}},
	} {
		s.base = c.base
		client := clientFrom(t, "", "127.0.0.1")
		path := func(i int) string { return fmt.Sprintf("/%d/%d.ts", n, i) }
		ask.Do(t, client, "GET", fmt.Sprintf("%s/%d/index.m3u8", c.base, n), "", c.usual...)
		for i := range 6 {
			for range 20 {
				ask.Do(t, client, "GET", c.base+path(i), "", c.usual...)
			}
			if !stated(t, client, c.base, path(i), c.usual...) {
				t.Fatalf("%s: nothing is stated of what has been the same for all", c.name)
			}
		}
		// Of a part that may be marked nothing is stated, and it is no reason to stop.
		if resp, _ := ask.Do(t, client, "GET", c.base+path(0), "", append([]string{"Range", "bytes=0-9"}, c.rare...)...); resp.Header.Get("Mesh-Segment") != "" {
			t.Errorf("%s: a part is stated", c.name)
		}
		b := s.swarmOf(client, fmt.Sprintf("%s/%d/index.m3u8", c.base, n), c.usual)
		wrong := 0
		for i := range 6 {
			resp, body := ask.Do(t, client, "GET", c.base+path(i), "", c.rare...)
			if !strings.Contains(body, "marked") {
				t.Fatalf("%s: the upstream marks nothing", c.name)
			}
			if resp.Header.Get("Mesh-Segment") != "" {
				wrong++
			}
		}
		if wrong > 1 {
			t.Errorf("%s: %d marked answers went out under a statement", c.name, wrong)
		}
		for i := range 6 {
			if stated(t, client, c.base, path(i), c.usual...) {
				t.Errorf("%s: segment %d is still shared", c.name, i)
			}
		}
		if b != nil {
			if m, _ := b.until(t, signal.ErrorMsg); m.Code != "not_shared" {
				t.Errorf("%s: the session ends with %+v", c.name, m)
			}
		}
	}
	_, metrics := ask.Do(t, clientFrom(t, "", "127.0.0.1"), "GET", urls[0]+"/metrics", "")
	if !strings.Contains(metrics, "\nmesh_stopped_presentations 4\n") {
		t.Error("the metrics do not count four presentations that are not shared any more")
	}
}

// swarmOf joins the swarm of a manifest with the header of a viewer.
func (s *site) swarmOf(client *http.Client, manifest string, header []string) *line {
	s.t.Helper()
	if len(header) > 0 && header[0] == "Authorization" && strings.HasPrefix(header[1], "Bearer ") {
		client = s.client(strings.TrimPrefix(header[1], "Bearer "))
	} else if len(header) > 0 {
		return nil
	}
	b, err := bootstrapOf(client, manifest)
	if err != nil {
		s.t.Fatal(err)
	}
	l, err := s.dial(client, b)
	if err != nil {
		s.t.Fatal(err)
	}
	return l
}
