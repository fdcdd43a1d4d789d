package caddymodule_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/viewmesh/viewmesh/caddymodule"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// provider is the operator's own service, which signs viewer tokens.
type provider struct {
	t      *testing.T
	signer *tokens.Signer
	file   string // its JWKS, with the private part, which renews
}

const providerKey = `{"kty":"OKP","crv":"Ed25519","kid":%q,"x":%q,"d":%q}`

func newProvider(t *testing.T) *provider {
	return newProviderWith(t, "csp-1", "iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w", "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE")
}

func newProviderWith(t *testing.T, kid, x, d string) *provider {
	t.Helper()
	jwks := fmt.Sprintf(`{"keys":[`+providerKey+`]}`, kid, x, d)
	set, err := tokens.ParseKeySet([]byte(jwks))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := tokens.NewSigner(set, "")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "viewers.json")
	if err := os.WriteFile(file, []byte(jwks), 0o600); err != nil {
		t.Fatal(err)
	}
	return &provider{t, signer, file}
}

// token signs a token for the URIs that an expression matches, with further
// claims.
func (p *provider) token(e *edge, expression string, life time.Duration, more map[string]any) string {
	p.t.Helper()
	container, err := tokens.RegexContainer(strings.ReplaceAll("http://"+e.addr, ".", `\.`) + expression)
	if err != nil {
		p.t.Fatal(err)
	}
	claims := map[string]any{"iss": "csp", "exp": time.Now().Add(life).Unix(), "cdniuc": container}
	for name, value := range more {
		claims[name] = value
	}
	token, err := p.signer.Sign(claims)
	if err != nil {
		p.t.Fatal(err)
	}
	return token
}

// asked is an upstream that serves a stream and remembers what it was asked for.
type asked struct {
	mu   sync.Mutex
	uris []string
}

func (s *asked) start(t *testing.T) string {
	return upstream(t, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.uris = append(s.uris, r.RequestURI)
		s.mu.Unlock()
		switch {
		case strings.HasSuffix(r.URL.Path, ".m3u8"):
			w.Header().Set("Content-Type", hlsType)
			w.Header().Set("Cache-Control", "public, max-age=2, s-maxage=1")
			_, _ = io.WriteString(w, mediaPlaylist("", "a.ts", "b.ts"))
		case strings.HasSuffix(r.URL.Path, "/player.js"):
			w.Header().Set("Content-Type", "application/x-javascript")
			_, _ = io.WriteString(w, "// no token needed")
		case strings.HasSuffix(r.URL.Path, "/about"):
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			_, _ = io.WriteString(w, "<p>no token needed")
		default:
			w.Header().Set("Content-Type", "video/mp2t")
			w.Header().Set("Content-Length", "50000")
			_, _ = w.Write(pattern(r.URL.Path, 50_000))
		}
	})
}

func (s *asked) all() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Join(s.uris, "\n")
}

func code(b []byte) string {
	var p problem
	_ = json.Unmarshal(b, &p)
	return p.Code
}

// TestRequireViewerToken: with require, nothing of a stream is served without a
// good token, whatever it is called; the page around it is; the upstream never
// sees a token, and neither does the log.
func TestRequireViewerToken(t *testing.T) {
	e, csp, up := newEdge(t), newProvider(t), &asked{}
	logged := filepath.Join(t.TempDir(), "log")
	address := up.start(t)
	site := func(how string) string {
		return "mesh {\n token urisigning {\n jwks_file " + csp.file + "\n issuer csp\n" + how + "\n}\n}\n reverse_proxy " + address
	}
	global := "mesh {\n stun off\n }\n log tokens {\n output file " + logged + "\n }"
	e.load(global, site("require"))
	good := csp.token(e, `/live/.*`, time.Minute, nil)
	for _, c := range []struct {
		path, header string
		status       int
		code         string
	}{
		{"/live/index.m3u8", "", 403, "token_missing"},
		{"/live/index.m3u8?URISigningPackage=" + good, "", 200, ""},
		{"/live/index.m3u8;URISigningPackage=" + good, "", 200, ""},
		{"/live/a.ts", "", 403, "token_missing"},
		{"/live/a.ts", "URISigningPackage=" + good, 200, ""},
		{"/live/%61.ts", "", 403, "token_missing"},
		{"/live//a.ts", "", 403, "token_missing"},
		{"/live/a.ts?URISigningPackage=" + good[:len(good)-8] + "AAAAAAAA", "", 403, "token_signature"},
		{"/other/index.m3u8?URISigningPackage=" + good, "", 403, "token_uri"},
		{"/live/a.ts?URISigningPackage=" + csp.token(e, `/live/.*`, -time.Second, nil), "", 403, "token_expired"},
		{"/live/a.ts?URISigningPackage=" + csp.token(e, `/live/.*`, time.Minute, map[string]any{"iss": "else"}), "", 403, "token_issuer"},
		{"/live/unnamed", "", 403, "token_missing"}, // video/mp2t
		{"/live/keys/1.key", "", 403, "token_missing"},
		{"/about", "", 200, ""},
		{"/player.js", "", 200, ""},
		{"/live/a.ts%00.js", "", 403, "token_missing"}, // video/mp2t, whatever its name
		{"/live/a.js", "URISigningPackage=" + good, 200, ""},
	} {
		header := []string{"Cookie", c.header}
		resp, b := e.get(c.path, header...)
		path, _, _ := strings.Cut(c.path, "=")
		if resp.StatusCode != c.status || code(b) != c.code {
			t.Errorf("%s with cookie %t: %d %s, want %d %s", path, c.header != "", resp.StatusCode, code(b), c.status, c.code)
		}
		if c.status != 200 && (resp.Header.Get("Cache-Control") != "no-store" || resp.Header.Get(headerBootstrap) != "") {
			t.Errorf("%s: a refusal with header %v", path, resp.Header)
		}
		if resp, _ := e.do("HEAD", c.path, "", header...); resp.StatusCode != c.status {
			t.Errorf("HEAD %s: %d, want %d", path, resp.StatusCode, c.status)
		}
	}
	if uris := up.all(); strings.Contains(uris, "URISigning") || strings.Contains(uris, "eyJ") {
		t.Errorf("the upstream saw a token: %s", uris)
	}
	if !strings.Contains(up.all(), "/live/index.m3u8") {
		t.Error("the upstream was not asked for the manifest")
	}

	e.load(global, site("observe"))
	forged := good[:len(good)-8] + "AAAAAAAA"
	for _, path := range []string{ // whatever is wrong with a token, the upstream does not see it
		"/live/a.ts?URISigningPackage=" + forged, "/live/a.ts;URISigningPackage=" + forged + "?x=1",
		"/live/a.ts?x=1&URISigningPackage=" + good + "&URISigningPackage=" + forged,
		"/other/index.m3u8?URISigningPackage=" + good, "/live/unnamed?URISigningPackage=" + forged,
	} {
		if resp, _ := e.get(path); resp.StatusCode != 200 {
			t.Errorf("observe: %d", resp.StatusCode)
		}
	}
	uris := up.all()
	if strings.Contains(uris, "URISigning") || strings.Contains(uris, "eyJ") || !strings.HasSuffix(uris, "/live/a.ts\n/live/a.ts?x=1\n/live/a.ts?x=1\n/other/index.m3u8\n/live/unnamed") {
		t.Errorf("observe: the upstream saw %s", uris)
	}
	if resp, _ := e.get("/live/a.ts"); resp.StatusCode != 200 {
		t.Errorf("observe: %d", resp.StatusCode)
	}
	if e.openSession("/live/index.m3u8").Pass == "" {
		t.Error("observe: no session")
	}
	want := map[string]float64{"accepted ": 8, "refused missing": 14, "refused signature": 2, "refused expired": 2, "refused uri": 2,
		"refused issuer": 2, "observed missing": 3, "observed signature": 3, "observed uri": 1, "observed malformed_uri": 1}
	got := tokenCounts(t)
	for name, n := range want {
		if got[name] != n {
			t.Errorf("mesh_viewer_tokens_total{%s} is %v, want %v", name, got[name], n)
		}
	}
	b, err := os.ReadFile(logged)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(b), `"reason":"expired","s_uri_signing":"404"`) {
		t.Errorf("the log does not give the reason: %s", b)
	}
	if strings.Contains(string(b), "eyJ") || strings.Contains(string(b), "127.0.0.1\"") {
		t.Error("a token or an address is in the log")
	}

	e.load(global, site("off"))
	if resp, _ := e.get("/live/a.ts"); resp.StatusCode != 200 {
		t.Errorf("off: %d", resp.StatusCode)
	}
}

// tokenCounts gives the counters by "outcome reason".
func tokenCounts(t *testing.T) map[string]float64 {
	t.Helper()
	registry := prometheus.NewRegistry()
	registry.MustRegister(caddymodule.Meters())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() == "mesh_viewer_tokens_total" {
			for _, m := range f.GetMetric() {
				out[m.GetLabel()[0].GetValue()+" "+m.GetLabel()[1].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	return out
}

// TestTokenOutOfRewrittenURL: the token is taken out also where a handler before
// mesh has changed the URL, and the statement of a segment is for the path
// without token.
func TestTokenOutOfRewrittenURL(t *testing.T) {
	e, csp, up := newEdge(t), newProvider(t), &asked{}
	e.load("", "handle_path /live/* {\n mesh {\n token urisigning {\n jwks_file "+csp.file+"\n }\n }\n reverse_proxy "+up.start(t)+"\n }")
	token := csp.token(e, `/live/.*`, time.Minute, nil)
	e.get("/live/x/index.m3u8?v=2&URISigningPackage=" + token + "&w=3")
	if resp, _ := e.get("/live/x/a.ts?q=1&URISigningPackage=" + token); resp.StatusCode != 200 {
		t.Fatalf("segment: %d", resp.StatusCode)
	}
	e.get("/live/x/a.ts;URISigningPackage=" + token)
	resp, body := e.get("/live/x/a.ts;URISigningPackage=" + token)
	checkStatement(t, e.verifier(), "/live/x/a.ts", body, resp.Header)
	if want, got := "/x/index.m3u8?v=2&w=3\n/x/a.ts?q=1\n/x/a.ts\n/x/a.ts", up.all(); got != want {
		t.Errorf("the upstream saw\n%s\nwant\n%s", got, want)
	}
}

// TestRenewal: manifests carry a renewed token in a cookie and are then private;
// a segment carries it only in the second half of the token's life, and its
// bytes are then not vouched for in that answer.
func TestRenewal(t *testing.T) {
	e, csp, up := newEdge(t), newProvider(t), &asked{}
	e.load("", "mesh {\n token urisigning {\n jwks_file "+csp.file+"\n renew_file "+csp.file+"\n }\n }\n reverse_proxy "+up.start(t))
	renewed := func(life time.Duration) string {
		return csp.token(e, `/live/.*`, life, map[string]any{"cdnistt": 1, "cdniets": 100})
	}
	resp, _ := e.get("/live/index.m3u8?URISigningPackage=" + renewed(time.Minute))
	swarm := e.swarmIn(resp)
	cookie, _, _ := strings.Cut(resp.Header.Get("Set-Cookie"), ";")
	if !strings.HasPrefix(cookie, "URISigningPackage=eyJ") {
		t.Fatalf("no renewal: %v", resp.Header)
	}
	if cc := resp.Header.Values("Cache-Control"); len(cc) != 1 || cc[0] != "private, max-age=2" {
		t.Errorf("Cache-Control %q", cc)
	}
	for i := range 3 {
		resp, _ := e.get("/live/a.ts", "Cookie", cookie)
		if resp.StatusCode != 200 || resp.Header.Get("Set-Cookie") != "" {
			t.Errorf("with the renewed token: %d, cookie %q", resp.StatusCode, resp.Header.Get("Set-Cookie"))
		}
		if shared := resp.Header.Get(headerSegment) != ""; shared != (i > 0) {
			t.Errorf("answer %d: vouched for is %t", i, shared)
		}
	}
	resp, _ = e.get("/live/a.ts", "Cookie", "URISigningPackage="+renewed(20*time.Second))
	if resp.Header.Get("Set-Cookie") == "" || resp.Header.Get(headerSegment) != "" {
		t.Errorf("near its end: header %v, want a renewal and no statement", resp.Header)
	}

	resp, b := e.do("POST", "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q}`, swarm), "Cookie", "URISigningPackage="+renewed(20*time.Second))
	if resp.StatusCode != 200 || resp.Header.Get("Set-Cookie") == "" {
		t.Errorf("session: %d %s, cookie %q", resp.StatusCode, b, resp.Header.Get("Set-Cookie"))
	}
}

// TestSessionEntitlement: a session needs a token for the presentation; its pass
// lasts no longer and reaches no further than the token.
func TestSessionEntitlement(t *testing.T) {
	dir := vod(t, 2, 20_000)
	e, csp := newEdge(t), newProvider(t)
	e.load("", "mesh {\n token urisigning {\n jwks_file "+csp.file+"\n }\n }\n root "+dir+"\n file_server")
	all := csp.token(e, `/vod/.*`, 40*time.Second, nil)
	if resp, _ := e.get("/vod/index.m3u8?URISigningPackage=" + all); resp.StatusCode != 200 {
		t.Fatalf("manifest: %d", resp.StatusCode)
	}
	swarm := e.swarmOf("/vod/index.m3u8?URISigningPackage=" + all)
	open := func(token string) (*http.Response, signal.SessionAnswer, string) {
		t.Helper()
		resp, b := e.do("POST", "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"token":%q}`, swarm, token))
		var a signal.SessionAnswer
		_ = json.Unmarshal(b, &a)
		return resp, a, code(b)
	}
	for _, c := range []struct {
		name, token string
		status      int
		code        string
	}{
		{"none", "", 403, "token_missing"},
		{"of another presentation", csp.token(e, `/live/.*`, time.Minute, nil), 403, "token_uri"},
		{"expired", csp.token(e, `/vod/.*`, -time.Minute, nil), 403, "token_expired"},
		{"for the manifest only", csp.token(e, `/vod/index\.m3u8`, time.Minute, nil), 403, "token_scope"},
		{"dying", csp.token(e, `/vod/.*`, 8*time.Second, nil), 503, "token_expired"},
		{"used once only", csp.token(e, `/vod/.*`, time.Minute, map[string]any{"jti": "1"}), 403, "token_replay_store"},
	} {
		if resp, _, got := open(c.token); resp.StatusCode != c.status || got != c.code {
			t.Errorf("%s: %d %s, want %d %s", c.name, resp.StatusCode, got, c.status, c.code)
		}
	}
	_, a, _ := open(all)
	if a.ExpiresMS > 40_000 || a.ExpiresMS < 30_000 {
		t.Errorf("the session lasts %d ms, the token 40 s", a.ExpiresMS)
	}
	pass, err := e.verifier().VerifyPass(a.Pass, time.Now())
	if err != nil || fmt.Sprint(pass.Scope) != "[/vod/]" {
		t.Errorf("scope %v, %v", pass.Scope, err)
	}
}

// TestNarrowScope: a JWT that allows one rendition gives a pass for that one, and
// its viewer meets only its like.
func TestNarrowScope(t *testing.T) {
	dir := vod(t, 2, 20_000)
	e, login := newEdge(t), newProvider(t)
	e.load("", "mesh {\n token jwt {\n alg EdDSA\n jwks_file "+login.file+"\n from query token\n from header Authorization\n paths_claim paths\n }\n }\n root "+dir+"\n file_server")
	sign := func(paths ...string) string {
		t.Helper()
		token, err := login.signer.Sign(map[string]any{"exp": time.Now().Add(time.Minute).Unix(), "paths": paths})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	whole, narrow := sign("/vod/"), sign("/vod/index.m3u8", "/vod/v0/*")
	if resp, _ := e.get("/vod/index.m3u8", "Authorization", "Bearer "+whole); resp.StatusCode != 200 {
		t.Fatalf("manifest: %d", resp.StatusCode)
	}
	resp, b := e.get("/vod/index.m3u8")
	if resp.StatusCode != 401 || code(b) != "token_missing" || resp.Header.Get("WWW-Authenticate") != "Bearer" {
		t.Errorf("without token: %d %s %q", resp.StatusCode, code(b), resp.Header.Get("WWW-Authenticate"))
	}
	if resp, _ := e.get("/vod/v1/seg-0.m4s?token=" + narrow); resp.StatusCode != 403 {
		t.Errorf("a path that is not allowed: %d", resp.StatusCode)
	}
	swarm := e.swarmOf("/vod/index.m3u8", "Authorization", "Bearer "+whole)
	var sockets []*socket
	for _, token := range []string{whole, narrow, narrow} {
		resp, b := e.do("POST", "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q}`, swarm), "Authorization", "Bearer "+token)
		var a signal.SessionAnswer
		if err := json.Unmarshal(b, &a); err != nil || resp.StatusCode != 200 {
			t.Fatalf("session: %d %s", resp.StatusCode, b)
		}
		sockets = append(sockets, e.connect(a))
	}
	pass, err := e.verifier().VerifyPass(sockets[1].a.Pass, time.Now())
	if err != nil || fmt.Sprint(pass.Scope) != "[/vod/v0/]" {
		t.Errorf("scope of the narrow pass: %v, %v", pass.Scope, err)
	}
	for _, s := range sockets[:2] {
		s.send(&signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: "v0", Upload: true, Want: 4}})
		s.until(signal.Peers)
	}
	told := sockets[2].announce(4)
	if len(told.Peers) != 1 || told.Peers[0].ID != sockets[1].a.Peer {
		t.Errorf("the second narrow viewer was told of %v, want %s only", told.Peers, sockets[1].a.Peer)
	}
	if sockets[1].send(&signal.Message{Type: signal.Renew}); sockets[1].until(signal.Pass).ExpiresMS > 60_000 {
		t.Error("a renewed pass outlives the token")
	}
}

// TestRemovedKey: after a reload a token of a removed key is refused at once, and
// one of the new key is good.
func TestRemovedKey(t *testing.T) {
	e, old := newEdge(t), newProvider(t)
	other := newProviderWith(t, "csp-2", "gTl3Dqh9F19Wo1Rmw0x-zMuNipG07jeiXfYPW4_Js5Q", "AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI")
	dir := vod(t, 1, 1000)
	site := func(file string) string {
		return "mesh {\n token urisigning {\n jwks_file " + file + "\n }\n }\n root " + dir + "\n file_server"
	}
	ask := func(p *provider) int {
		resp, _ := e.get("/vod/index.m3u8?URISigningPackage=" + p.token(e, `/vod/.*`, time.Minute, nil))
		return resp.StatusCode
	}
	e.load("", site(old.file+" "+other.file))
	if a, b := ask(old), ask(other); a != 200 || b != 200 {
		t.Fatalf("both keys: %d and %d", a, b)
	}
	e.load("", site(other.file))
	if a, b := ask(old), ask(other); a != 403 || b != 200 {
		t.Errorf("after the reload the removed key gives %d, the other %d", a, b)
	}
}
