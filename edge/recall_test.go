package edge_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/tokens"
)

// TestRestart: an edge that has started since learns from the session request what
// the presentation is: the session is opened, and segments have statements, though
// no viewer loads a manifest again. It asks its upstream once, and never for a
// swarm id that was not handed out for the manifest.
func TestRestart(t *testing.T) {
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	var asked atomic.Int64
	up := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/s/index.m3u8":
			asked.Add(1)
			reply(w, "#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nv0/i.m3u8\n#EXT-X-STREAM-INF:BANDWIDTH=2\n/away/i.m3u8\n")
		case strings.HasSuffix(r.URL.Path, ".m3u8"):
			asked.Add(1)
			reply(w, "#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\na.ts\n#EXT-X-ENDLIST\n")
		default:
			reply(w, strings.Repeat("a", 3000))
		}
	})
	start := func() (http.Handler, func()) {
		e, err := edge.New(edge.Config{Secret: make([]byte, 32), Keys: func() *tokens.Keyring { return keys }})
		if err != nil {
			t.Fatal(err)
		}
		return e.Wrap(edge.Policy{}, up), e.Close
	}
	do := func(h http.Handler, method, target, body string) *http.Response {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(method, "http://h"+target, strings.NewReader(body)))
		return w.Result()
	}
	swarmOf := func(h http.Handler, manifest string) string {
		_, swarm, _ := strings.Cut(do(h, http.MethodGet, manifest, "").Header.Get("Mesh-Bootstrap"), `swarm="`)
		swarm, _, _ = strings.Cut(swarm, `"`)
		return swarm
	}

	first, stop := start()
	swarm := swarmOf(first, "/s/index.m3u8")
	stop()
	second, stop := start()
	defer stop()
	asked.Store(0)
	for manifest, why := range map[string]string{
		"/other/index.m3u8": "another manifest",
		"/nowhere/i.m3u8":   "a manifest that there is none of",
		"":                  "no manifest",
	} {
		if resp := do(second, http.MethodPost, "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"manifest":%q}`, swarm, manifest)); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: %d", why, resp.StatusCode)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the upstream was asked %d times for what the id does not prove", n)
	}
	for range 3 {
		if resp := do(second, http.MethodPost, "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"manifest":"/s/index.m3u8"}`, swarm)); resp.StatusCode != http.StatusOK {
			t.Fatalf("after the restart: %d", resp.StatusCode)
		}
	}
	if n := asked.Load(); n != 3 {
		t.Errorf("the upstream was asked %d times, want once for each of three playlists", n)
	}
	for _, path := range []string{"/s/v0/a.ts", "/away/a.ts"} {
		do(second, http.MethodGet, path, "")
		if do(second, http.MethodGet, path, "").Header.Get("Mesh-Segment") == "" {
			t.Errorf("%s has no statement after the restart", path)
		}
	}
	if again := swarmOf(second, "/s/index.m3u8"); again != swarm {
		t.Errorf("another swarm after the restart")
	}
}

// TestBadManifest: what cannot be a manifest's path is an error of the field.
func TestBadManifest(t *testing.T) {
	s := newSite(t, edge.Policy{})
	for _, manifest := range []string{"x", "http://h/x", "/" + strings.Repeat("x", 5000), "/a b", "/a#b"} {
		resp, b := s.do(http.MethodPost, "/mesh/session", "", fmt.Sprintf(`{"v":1,"swarm":"x","manifest":%q}`, manifest))
		if resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(b), `"field":"manifest"`) {
			t.Errorf("%.20s: %d %s", manifest, resp.StatusCode, b)
		}
	}
}
