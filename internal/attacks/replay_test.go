package attacks

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
	"github.com/viewmesh/viewmesh/tokens"
)

// TestViewerTokenReplayed: a viewer token opens no session of another stream,
// none for another site's page, and none after it has expired; and without one
// there are neither manifests nor segments nor keys.
func TestViewerTokenReplayed(t *testing.T) {
	s := newSite(t, "")
	film := s.token("/film/", time.Minute)
	swarm := s.bootstrap(s.client(film), "film").Swarm
	other := s.bootstrap(s.client(s.token("/other/", time.Minute)), "other").Swarm
	dying := s.token("/film/", 16*time.Second)
	dead := s.token("/film/", -time.Second)
	anon := s.client("")
	post := func(swarm, token string, header ...string) string {
		t.Helper()
		resp, b := ask.Do(t, anon, "POST", s.base+"/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"token":%q}`, swarm, token), header...)
		return fmt.Sprintf("%d %s", resp.StatusCode, codeOf(b))
	}
	for _, c := range []struct{ name, got, want string }{
		{"its own stream", post(swarm, film), "200 "},
		{"for less than a session", post(swarm, s.token("/film/", 5*time.Second)), "503 token_expired"},
		{"still good for one", post(swarm, dying), "200 "},
		{"another stream", post(other, film), "403 token_uri"},
		{"another site's Origin", post(swarm, film, "Origin", "https://pirate.example"), "403 origin"},
		{"a null Origin", post(swarm, film, "Origin", "null"), "403 origin"},
		{"expired", post(swarm, dead), "401 token_expired"},
		{"none", post(swarm, ""), "401 token_missing"},
		{"another's claims", post(swarm, part(t, film, 0)+"."+part(t, s.token("/", time.Hour), 1)+"."+part(t, film, 2)), "401 token_signature"},
		{"another's signature", post(swarm, part(t, film, 0)+"."+part(t, film, 1)+"."+part(t, s.token("/", time.Hour), 2)), "401 token_signature"},
		{"another spelling", post(swarm, respelt(t, film)), "401 token_malformed"},
	} {
		if c.got != c.want {
			t.Errorf("%s: %s, want %s", c.name, c.got, c.want)
		}
	}
	for _, path := range []string{"/film/index.m3u8", "/film/0.ts", "/film/content.key", "/film/%30.ts", "/film//0.ts"} {
		if resp, b := ask.Do(t, anon, "GET", s.base+path, ""); resp.StatusCode != 401 {
			t.Errorf("%s without token: %d, %d bytes", path, resp.StatusCode, len(b))
		}
		if resp, _ := ask.Do(t, anon, "GET", s.base+path, "", "Authorization", "Bearer "+s.token("/other/", time.Minute)); resp.StatusCode != 403 {
			t.Errorf("%s with the token of another stream: %d", path, resp.StatusCode)
		}
	}
}

// part is one of the three parts of a token.
func part(t *testing.T, token string, n int) string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("a token of %d parts", len(parts))
	}
	return parts[n]
}

// respelt is a token whose last character differs in bits that stand for no byte:
// a lax decoder of base64 reads the same signature from it.
func respelt(t *testing.T, token string) string {
	t.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(token) - 1
	other := token[:last] + string(alphabet[strings.IndexByte(alphabet, token[last])^1])
	want, err := base64.RawURLEncoding.DecodeString(token[strings.LastIndexByte(token, '.')+1:])
	if err != nil {
		t.Fatal(err)
	}
	if got, err := base64.RawURLEncoding.DecodeString(other[strings.LastIndexByte(token, '.')+1:]); err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%q is no other spelling: %v", other, err)
	}
	return other
}

// codeOf is the code of a problem.
func codeOf(body string) string {
	const field = `"code":"`
	for i := 0; i+len(field) < len(body); i++ {
		if body[i:i+len(field)] == field {
			end := i + len(field)
			for end < len(body) && body[end] != '"' {
				end++
			}
			return body[i+len(field) : end]
		}
	}
	return ""
}

// TestPassReplayed: real viewers give nothing to a peer that shows the pass of
// another peer, of another stream's swarm, or one that the edge did not sign; and
// they give to one that shows its own.
func TestPassReplayed(t *testing.T) {
	s := newSite(t, "")
	a := s.audience()
	token := s.token("/", time.Minute)
	client := s.client(token)
	for range 2 {
		a.join(token, nil)
	}
	a.until("two viewers", 20*time.Second, a.all(func(v viewer.Stats) bool { return v.Joined && v.PlayedMS > 1000 }))
	b := s.bootstrap(client, "film")
	victim := s.open(client, b)
	elsewhere := s.open(client, s.bootstrap(client, "other"))
	forger, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, pass := range map[string]func(own *edge.Session) string{
		"another peer's":  func(*edge.Session) string { return victim.Pass },
		"another swarm's": func(*edge.Session) string { return elsewhere.Pass },
		"a forged one": func(own *edge.Session) string {
			pass, err := forger.SignPass(tokens.Pass{Peer: own.Peer.String(), Swarm: own.Swarm, Scope: []string{"/"}, Issued: time.Now(), Expires: time.Now().Add(time.Hour)})
			if err != nil {
				t.Fatal(err)
			}
			return pass
		},
		"none": func(*edge.Session) string { return "" },
	} {
		t.Run(name, func(t *testing.T) {
			own := s.open(client, b)
			i := intrude(t, client, own, pass(own))
			if !i.waitFor(wire.Bye, 2, 15*time.Second) {
				t.Errorf("%d of two viewers said bye", i.count(wire.Bye))
			}
			if n := i.count(wire.Chunk) + i.count(wire.Proof) + i.count(wire.Have); n != 0 {
				t.Errorf("%d chunks, proofs and haves were given", n)
			}
		})
	}
	own := s.open(client, b)
	if i := intrude(t, client, own, own.Pass); !i.waitFor(wire.Chunk, 1, 20*time.Second) {
		t.Error("a peer with its own pass was given nothing: this shows nothing")
	}
}

// TestPassAtEdge: the edge takes no pass that it did not sign for a swarm it has,
// and none that has expired.
func TestPassAtEdge(t *testing.T) {
	s := newSite(t, "")
	client := s.client(s.token("/", time.Minute))
	session := s.open(client, s.bootstrap(client, "film"))
	forger, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	forged, err := forger.SignPass(tokens.Pass{Peer: session.Peer.String(), Swarm: session.Swarm, Scope: []string{"/"}, Issued: time.Now(), Expires: time.Now().Add(time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	for name, pass := range map[string]string{"forged": forged, "viewer token": s.token("/", time.Minute), "cut": session.Pass[:len(session.Pass)-3]} {
		if code := hello(t, s, session, pass); code != "bad_pass" {
			t.Errorf("%s: %q, want bad_pass", name, code)
		}
	}
	if code := hello(t, s, session, session.Pass); code != "" {
		t.Errorf("the session's own pass: %q", code)
	}
}

// hello says hello with a pass and gives the code of the refusal, "" for a
// welcome.
func hello(t *testing.T, s *site, session *edge.Session, pass string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	k, err := edge.Dial(ctx, s.client(""), session, pass)
	if err != nil {
		t.Fatal(err)
	}
	defer k.Abort()
	m, err := k.Read()
	if err != nil {
		t.Fatal(err)
	}
	if m.Type == signal.Welcome {
		return ""
	}
	return m.Code
}
