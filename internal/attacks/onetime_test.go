package attacks

import (
	"fmt"
	"testing"
	"time"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
)

// TestOneTimeTokens: a token with a jti is good for one request of each path. Another
// query or spelling, a reload and a restart do not make it new, and it opens no session,
// used or not, nor is it used up by one that it does not open.
func TestOneTimeTokens(t *testing.T) {
	s := newStreams(t)
	signer, _ := signed(s)
	address := freeport.Addr(t)
	s.base = "http://" + address
	site := fmt.Sprintf("{\n%s\nmesh {\n stun off\n }\n}\n%s {\n%s\n}\n", caddytest.Options(t), s.base,
		"mesh {\n token urisigning {\n jwks_file "+s.dir+"/../csp.json\n replay 1000\n }\n }\n root "+s.dir+"\n file_server")
	caddytest.Start(t, site)
	sign := func(jti string) string {
		claims := map[string]any{"exp": time.Now().Add(time.Hour).Unix(), "cdniuc": film(s)}
		if jti != "" {
			claims["jti"] = jti
		}
		token, err := signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	get := func(what, path, token string, want int) {
		t.Helper()
		status, body := 0, ""
		for range 5 { // a listener that closes may reset who waits in it
			if status, body = raw(t, s.base, "GET", path, "Cookie: URISigningPackage="+token); status != 0 {
				break
			}
		}
		if status != want {
			t.Errorf("%s: %s is %d %s, want %d", what, path, status, codeOf(body), want)
		}
	}
	session := func(what, token string) {
		t.Helper()
		b, err := bootstrapOf(s.client(""), s.base+"/film/index.m3u8?URISigningPackage="+sign(""))
		if err != nil {
			t.Fatal(err)
		}
		resp, body := ask.Do(t, s.client(""), "POST", s.base+"/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"token":%q}`, b.Swarm, token))
		if resp.StatusCode != 403 || codeOf(body) != "token_replayed" {
			t.Errorf("a session by %s: %d %s", what, resp.StatusCode, codeOf(body))
		}
	}
	one, fresh := sign("1"), sign("2")
	get("first", "/film/0.ts", one, 200)
	again := func(when string) {
		t.Helper()
		for _, path := range []string{"/film/0.ts", "/film/0.ts?n=1", "/film/%30.ts", "/film//0.ts", "/film/./0.ts", "/film/x/../0.ts"} {
			get(when, path, one, 403)
		}
	}
	again("again")
	get("another path", "/film/1.ts", one, 200)
	session("a used one", one)
	session("a fresh one", fresh)
	get("after a session that was not opened", "/film/index.m3u8", fresh, 200)
	caddytest.Load(t, site)
	again("after a reload")
	if err := caddy.Stop(); err != nil {
		t.Fatal(err)
	}
	caddytest.Load(t, site)
	again("after a restart")
	get("a third path", "/film/2.ts", one, 200)
}
