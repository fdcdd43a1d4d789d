package caddymodule_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// court is an edge behind a proxy, so that a viewer can come from any address.
type court struct {
	*edge
	swarm string
}

// visitor is a viewer: where it comes from and what it shows.
type visitor struct{ from, token string }

// admit asks for a session and gives the answer, or the code of the refusal.
func (c *court) admit(v visitor) (a signal.SessionAnswer, code string) {
	c.t.Helper()
	resp, b := c.do("POST", "/mesh/session", fmt.Sprintf(`{"v":1,"swarm":%q,"token":%q,"key":%q}`, c.swarm, v.token, base64.StdEncoding.EncodeToString(sessionKey.Public().(ed25519.PublicKey))), "X-Forwarded-For", v.from)
	if resp.StatusCode != http.StatusOK {
		var p struct{ Code string }
		if err := json.Unmarshal(b, &p); err != nil || p.Code == "" {
			c.t.Fatalf("%d %s: %v", resp.StatusCode, b, err)
		}
		return a, p.Code
	}
	if err := json.Unmarshal(b, &a); err != nil {
		c.t.Fatal(err)
	}
	return a, ""
}

// enter opens a session and its socket.
func (c *court) enter(v visitor) *socket {
	c.t.Helper()
	a, code := c.admit(v)
	if code != "" {
		c.t.Fatalf("%s is refused: %s", v.from, code)
	}
	return c.reenter(v, a)
}

func (c *court) reenter(v visitor, a signal.SessionAnswer) *socket {
	c.t.Helper()
	s := c.dial(http.Header{"X-Forwarded-For": {v.from}})
	s.a = a
	s.send(&signal.Message{Type: signal.Hello, Pass: a.Pass})
	return s
}

// accuse has a visitor, who was introduced to the accused, complain of it, with evidence
// or without, and says whether it was banned.
func (c *court) accuse(accused *socket, by visitor, evidence *signal.Evidence) bool {
	c.t.Helper()
	edge := currentEdge(c.t)
	before := edge.Numbers().Banned
	a := c.enter(by)
	found := false
	for range 4 { // two of one prefix are told of at once, and those who were not before come first
		for _, p := range a.announce(16).Peers {
			found = found || p.ID == accused.a.Peer
		}
	}
	if !found {
		c.t.Fatal("the accuser was not introduced to the accused")
	}
	segment := integrity.ID(judged, 0, 0)
	a.send(&signal.Message{Type: signal.Complain, Peer: &accused.a.Peer, Segment: &segment, Reason: "digest", Evidence: evidence})
	for a.send(&signal.Message{Type: signal.Renew}); ; { // the answer shows that the complaint was taken
		if m := a.next(); m.Type == signal.Pass {
			break
		}
	}
	return edge.Numbers().Banned > before
}

// judged is the segment of which wrong chunks are given.
const judged = "/vod/v0/seg-0.m4s"

// lie is the evidence that a peer makes of itself when it gives a wrong chunk.
func (c *court) lie(of *socket, v visitor) *signal.Evidence {
	c.t.Helper()
	var s signal.SegmentStatement
	var header []string
	if v.token != "" {
		header = []string{"Authorization", "Bearer " + v.token}
	}
	c.get("/vod/v0/index.m3u8", header...)
	for range 2 { // the edge learns the digest with the first
		resp, _ := c.get(judged, header...)
		s.Token = resp.Header.Get(headerSegment)
		s.Hashes, _ = base64.StdEncoding.DecodeString(strings.Trim(resp.Header.Get(headerDigests), ":"))
	}
	statement, err := c.verifier().VerifySegment(s.Token, time.Now())
	if err != nil {
		c.t.Fatal(err)
	}
	hash := sha256.Sum256([]byte("a lie"))
	return &signal.Evidence{Pass: of.a.Pass, Token: s.Token, Hashes: s.Hashes, Hash: hash[:],
		Signature: ed25519.Sign(sessionKey, integrity.Given(c.swarm, integrity.ID(judged, 0, 0), statement.Root, 0, hash[:]))}
}

// sessionKey is that of all visitors.
var sessionKey = ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))

// gives says whether a session may give chunks, by its limits and by its pass.
func (c *court) gives(a signal.SessionAnswer) bool {
	c.t.Helper()
	pass, err := c.verifier().VerifyPass(a.Pass, time.Now())
	if err != nil || pass.ReceiveOnly != a.Limits.ReceiveOnly {
		c.t.Fatalf("pass %+v with limits %+v: %v", pass, a.Limits, err)
	}
	return !pass.ReceiveOnly
}

const behindProxy = "mesh {\n stun off\n }\n servers {\n trusted_proxies static 127.0.0.0/8\n }"

// TestBanByAddress: complaints without evidence ban nobody, and one with evidence bans.
// Without viewer tokens, the others behind the address of the banned one keep their
// sessions, and new sessions from there may take and not give. One that leaves at once is
// banned all the same.
func TestBanByAddress(t *testing.T) {
	e := newEdge(t)
	e.load(behindProxy, "mesh\n root "+vod(t, 1, 100)+"\n file_server")
	c := &court{e, e.swarmOf("/vod/index.m3u8")}
	liar := visitor{from: "203.0.113.7"}
	neighbor := c.enter(liar)
	neighbor.announce(0)
	l := c.enter(liar)
	l.announce(0)
	for _, from := range []string{"198.51.100.1", "198.51.100.2", "2001:db8:0:1::1"} {
		if c.accuse(l, visitor{from: from}, nil) {
			t.Fatal("complaints without evidence banned a peer")
		}
	}
	forged := c.lie(l, liar)
	forged.Hash = forged.Hashes[:32] // what it should have given
	if c.accuse(l, visitor{from: "198.51.100.3"}, forged) {
		t.Fatal("forged evidence banned a peer")
	}
	if !c.accuse(l, visitor{from: "198.51.100.4"}, c.lie(l, liar)) {
		t.Fatal("evidence did not ban it")
	}
	if m := l.until(signal.Drop); m.Reason != "banned" {
		t.Errorf("it got %+v", m)
	}
	l.closed()
	again := c.reenter(liar, l.a)
	if m := again.until(signal.ErrorMsg); m.Code != "banned" {
		t.Errorf("its pass is still good: %+v", m)
	}
	neighbor.send(&signal.Message{Type: signal.Renew})
	neighbor.until(signal.Pass)
	neighbor.announce(0)
	if a, code := c.admit(liar); code != "" || c.gives(a) {
		t.Errorf("a new session from its address is refused (%q) or gives", code)
	}
	if a, code := c.admit(visitor{from: "203.0.113.9"}); code != "" || !c.gives(a) {
		t.Errorf("a session from the next address is refused (%q) or does not give", code)
	}
	quick := visitor{from: "203.0.113.10"}
	q := c.enter(quick)
	q.announce(0)
	witness := c.enter(visitor{from: "198.51.100.5"})
	witness.announce(16)
	lie := c.lie(q, quick)
	q.send(&signal.Message{Type: signal.Leave})
	q.closed()
	segment := integrity.ID(judged, 0, 0)
	witness.send(&signal.Message{Type: signal.Complain, Peer: &q.a.Peer, Segment: &segment, Evidence: lie})
	witness.send(&signal.Message{Type: signal.Renew})
	witness.until(signal.Pass)
	if a, code := c.admit(quick); code != "" || c.gives(a) {
		t.Errorf("who left before the evidence came is refused (%q) or gives again", code)
	}
}

// TestBanByToken: with viewer tokens, a viewer is who its token names, wherever it
// comes from. The banned one opens no session with another token of the same name, from
// another address neither, and has none renewed; its address is nobody's fault.
func TestBanByToken(t *testing.T) {
	e := newEdge(t)
	p := newProvider(t)
	e.load(behindProxy, "mesh {\n token jwt {\n alg EdDSA\n jwks_file "+p.file+"\n paths_claim paths\n }\n }\n root "+vod(t, 1, 100)+"\n file_server")
	life := time.Hour
	named := func(sub string) string {
		life += time.Second // each token is another
		claims := map[string]any{"exp": time.Now().Add(life).Unix(), "paths": "/"}
		if sub != "" {
			claims["sub"] = sub
		}
		token, err := p.signer.Sign(claims)
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	resp, _ := e.get("/vod/index.m3u8", "Authorization", "Bearer "+named("a"))
	_, swarm, ok := strings.Cut(resp.Header.Get(headerBootstrap), `swarm="`)
	if !ok {
		t.Fatalf("no bootstrap: %d", resp.StatusCode)
	}
	swarm, _, _ = strings.Cut(swarm, `"`)
	c := &court{e, swarm}
	const nat = "203.0.113.7"
	at := func(sub string) visitor { return visitor{nat, named(sub)} }
	other := c.enter(at("liar")) // another device of the same viewer
	other.announce(0)
	l := c.enter(at("liar"))
	l.announce(0)
	for _, by := range []visitor{at("mallory"), {"198.51.100.1", named("trudy")}} {
		if c.accuse(l, by, nil) {
			t.Fatal("two viewers without evidence banned a peer")
		}
	}
	if !c.accuse(l, at("alice"), c.lie(l, at("liar"))) {
		t.Fatal("evidence did not ban it")
	}
	l.until(signal.Drop)
	l.closed()
	for _, v := range []visitor{at("liar"), {"198.51.100.9", named("liar")}} {
		if _, code := c.admit(v); code != "banned" {
			t.Errorf("the banned viewer, from %s: %q", v.from, code)
		}
	}
	if m := c.reenter(at("liar"), l.a).until(signal.ErrorMsg); m.Code != "banned" {
		t.Errorf("its pass: %+v", m)
	}
	other.send(&signal.Message{Type: signal.Renew})
	if m := other.until(signal.ErrorMsg); m.Code != "refused" {
		t.Errorf("its other session is renewed: %+v", m)
	}
	if a, code := c.admit(at("bob")); code != "" || !c.gives(a) {
		t.Errorf("another viewer of its address is refused (%q) or does not give", code)
	}
	// A token that names nobody is as none.
	n := c.enter(visitor{nat, named("")})
	n.announce(0)
	if !c.accuse(n, visitor{"198.51.100.2", named("")}, c.lie(n, at(""))) {
		t.Fatal("evidence of a nameless session did not ban it")
	}
	if a, code := c.admit(at("")); code != "" || c.gives(a) {
		t.Errorf("a new nameless session from there is refused (%q) or gives", code)
	}
	if a, code := c.admit(at("bob")); code != "" || !c.gives(a) {
		t.Errorf("a viewer with a name from there is refused (%q) or does not give", code)
	}
}
