package caddymodule_test

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// TestKeysFromURL: keys come from a JWKS URL, and viewers are told to come again
// while it is unavailable.
func TestKeysFromURL(t *testing.T) {
	csp, dir := newProvider(t), vod(t, 1, 1000)
	private, err := os.ReadFile(csp.file)
	if err != nil {
		t.Fatal(err)
	}
	var down atomic.Bool
	var fetches atomic.Int64
	jwks := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		if down.Load() {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_, _ = w.Write(private)
	}))
	defer jwks.Close()
	e := newEdge(t)
	site := "mesh {\n token urisigning {\n jwks_url " + jwks.URL + "\n jwks_allow_http\n }\n }\n root " + dir + "\n file_server"
	e.load("", site)
	for range 5 {
		if resp, b := e.get("/vod/index.m3u8?URISigningPackage=" + csp.token(e, `/vod/.*`, time.Minute, nil)); resp.StatusCode != 200 {
			t.Fatalf("%d %s", resp.StatusCode, b)
		}
	}
	if n := fetches.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	down.Store(true)
	e.load("", site+"\n header X-Reload 1")
	resp, b := e.get("/vod/index.m3u8?URISigningPackage=" + csp.token(e, `/vod/.*`, time.Minute, nil))
	if resp.StatusCode != 503 || code(b) != "token_keys_unavailable" || resp.Header.Get("Retry-After") == "" {
		t.Errorf("without keys: %d %s", resp.StatusCode, b)
	}
	if err := e.tryLoad(e.caddyfile("mesh {\n stun off\n }", "mesh {\n token urisigning {\n jwks_url "+jwks.URL+"\n }\n }\n file_server")); err == nil {
		t.Error("an http URL is taken without jwks_allow_http")
	}
}

// TestTokenNames: a manifest says under which names viewer tokens are in URLs, the
// same for every viewer.
func TestTokenNames(t *testing.T) {
	e, csp := newEdge(t), newProvider(t)
	keys := "\n jwks_file " + csp.file + "\n observe\n }"
	for token, want := range map[string]string{
		"":                          "",
		"token urisigning {" + keys: `token="URISigningPackage"`,
		"token urisigning {\n attribute t" + keys:                                     `token="t"`,
		"token jwt {\n alg EdDSA" + keys:                                              "",
		"token jwt {\n alg EdDSA\n from query q\n from header X\n from path p" + keys: `token="q p"`,
		"token urisigning {" + strings.Replace(keys, "observe", "off", 1):             "",
	} {
		e.load("", "mesh {\n "+token+"\n }\n root "+vod(t, 1, 100)+"\n file_server")
		resp, _ := e.get("/vod/index.m3u8")
		_, got, _ := strings.Cut(resp.Header.Get(headerBootstrap), `token=`)
		if want == "" && got != "" || want != "" && "token="+got != want {
			t.Errorf("%s\nMesh-Bootstrap: %s, want %s", token, resp.Header.Get(headerBootstrap), want)
		}
	}
}

// TestBadVerifiers: a configuration that cannot verify is refused when it is
// loaded, not when viewers come.
func TestBadVerifiers(t *testing.T) {
	e, csp := newEdge(t), newProvider(t)
	for name, token := range map[string]string{
		"no such file":    "urisigning {\n jwks_file /nowhere/keys.json\n }",
		"short secret":    "jwt {\n alg HS256\n secret short\n }",
		"unset secret":    "jwt {\n alg HS256\n secret {env.VIEWMESH_TEST_UNSET}\n }",
		"bad attribute":   "urisigning {\n jwks_file " + csp.file + "\n attribute a=b\n }",
		"long leeway":     "jwt {\n alg EdDSA\n jwks_file " + csp.file + "\n leeway 1h\n }",
		"no signing key":  "urisigning {\n jwks_file " + csp.file + "\n renew_file /nowhere/keys.json\n }",
		"no decrypt keys": "urisigning {\n jwks_file " + csp.file + "\n decrypt_file /nowhere/keys.json\n }",
	} {
		if err := e.tryLoad(e.caddyfile("mesh {\n stun off\n }", "mesh {\n token "+token+"\n }\n file_server")); err == nil {
			t.Errorf("%s: it was loaded", name)
		}
	}
}
