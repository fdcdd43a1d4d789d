package attacks

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/tokens"
)

// signed returns who signs tokens by RFC 9246 for a site, and directives by which it
// wants them, and renews them in a cookie.
func signed(s *site) (signer *tokens.Signer, directives string) {
	t := s.t
	t.Helper()
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding
	jwks := fmt.Sprintf(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"csp","x":%q,"d":%q}]}`, b64.EncodeToString(public), b64.EncodeToString(private.Seed()))
	s.write("../csp.json", []byte(jwks))
	set, err := tokens.ParseKeySet([]byte(jwks))
	if err != nil {
		t.Fatal(err)
	}
	signer, err = tokens.NewSigner(set, "")
	if err != nil {
		t.Fatal(err)
	}
	return signer, fmt.Sprintf("mesh {\n report_interval 1s\n announce_interval 1s\n token urisigning {\n jwks_file %s/../csp.json\n renew_file %s/../csp.json\n }\n }\n root %s\n file_server", s.dir, s.dir, s.dir)
}

// TestTime plays what takes time to show at the same time, on three sites of one edge.
func TestTime(t *testing.T) {
	passes, path, short := newStreams(t), newStreams(t), newStreams(t)
	pathSigner, pathDirectives := signed(path)
	// What comes through a proxy the edge knows when it has passed: viewers ask for statements.
	pathDirectives = strings.Replace(pathDirectives, "root "+path.dir+"\n file_server", "reverse_proxy "+upstream(t, path.dir), 1)
	shortSigner, shortDirectives := signed(short)
	urls := run(t, passes.directives("session_ttl "+ttl.String()), pathDirectives, shortDirectives)
	passes.base, path.base, short.base = urls[0], urls[1], urls[2]
	for name, play := range map[string]func(*testing.T){
		"a pass runs out":    func(t *testing.T) { passRunsOut(t, passes.in(t)) },
		"tokens in the path": func(t *testing.T) { pathTokens(t, path.in(t), pathSigner) },
		"short tokens":       func(t *testing.T) { shortTokens(t, short.in(t), shortSigner) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			play(t)
		})
	}
}

// film is the claim of a token for the site's film.
func film(s *site) string {
	s.t.Helper()
	claim, err := tokens.RegexContainer(strings.ReplaceAll(s.base, ".", `\.`) + "/film/.*")
	if err != nil {
		s.t.Fatal(err)
	}
	return claim
}

// pathTokens: viewers whose tokens are in the path of every URL, each a token of
// its own, take most from each other, because the edge tells them what tokens are
// called.
func pathTokens(t *testing.T, s *site, signer *tokens.Signer) {
	film := film(s)
	a := s.audience()
	for i := range 3 {
		token, err := signer.Sign(map[string]any{"exp": time.Now().Unix() + 600 + int64(i), "cdniuc": film})
		if err != nil {
			t.Fatal(err)
		}
		a.joinWith(s.client(""), "/film;URISigningPackage="+token+"/index.m3u8", nil)
		a.until("a session", 20*time.Second, a.all(func(v viewer.Stats) bool { return v.Joined && v.PlayedMS > 0 }))
	}
	a.until("12 s of media", 60*time.Second, a.all(func(v viewer.Stats) bool { return v.PlayedMS > 12_000 }))
	a.end()
	var fromPeers, fromOrigin int64
	for _, p := range a.players {
		fromPeers += p.Stats().PeerBytes
		fromOrigin += p.Stats().OriginBytes
	}
	if a.wrong != 0 || fromPeers < fromOrigin {
		t.Errorf("%d wrong segments, %d bytes from peers, %d from the origin", a.wrong, fromPeers, fromOrigin)
	}
}

// shortTokens: viewers come with tokens by RFC 9246 that live 20 s and are
// renewed in a cookie. They take most from each other, so that they seldom ask
// the edge, and yet no token dies on them: 22 s are played without a stall, all of
// it the origin's bytes.
func shortTokens(t *testing.T, s *site, signer *tokens.Signer) {
	film := film(s)
	a := s.audience()
	const life = 20
	for range 3 {
		token, err := signer.Sign(map[string]any{"exp": time.Now().Unix() + life, "cdniuc": film, "cdnistt": 1, "cdniets": life})
		if err != nil {
			t.Fatal(err)
		}
		client := s.client("")
		if client.Jar, err = cookiejar.New(nil); err != nil {
			t.Fatal(err)
		}
		a.joinWith(client, "/film/index.m3u8?URISigningPackage="+token, nil)
		a.until("a session", 20*time.Second, a.all(func(v viewer.Stats) bool { return v.Joined && v.PlayedMS > 0 }))
	}
	first := a.players[0].Stats().Peer
	a.until("22 s of media", 60*time.Second, a.all(func(v viewer.Stats) bool { return v.PlayedMS > 22_000 }))
	a.end()
	var fromPeers, fromOrigin int64
	for i, p := range a.players {
		v := p.Stats()
		fromPeers += v.PeerBytes
		fromOrigin += v.OriginBytes
		if v.Stalls != 0 {
			t.Errorf("viewer %d stalled %d times", i, v.Stalls)
		}
	}
	t.Logf("%d bytes from peers, %d from the origin, %d segments played", fromPeers, fromOrigin, a.played)
	if a.wrong != 0 || fromPeers == 0 {
		t.Errorf("%d wrong segments, %d bytes from peers", a.wrong, fromPeers)
	}
	if a.players[0].Stats().Peer == first {
		t.Error("the first viewer still has its first session, which should have ended with its token")
	}
	if resp, err := http.Get(s.base + "/film/1.ts"); err != nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("without token: %v, %v", resp, err)
	}
}
