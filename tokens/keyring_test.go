package tokens

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func testPass(now time.Time) Pass {
	return Pass{Peer: "peer-1", Swarm: "swarm-1", Scope: []string{"/"}, Issued: now, Expires: now.Add(time.Minute)}
}

func TestKeyringSurvivesStorage(t *testing.T) {
	now := time.Unix(1_700_000_000, 5)
	k := must(NewKeyring(now))
	k = must(k.Rotate(now.Add(time.Hour), 4))
	token := must(k.SignPass(testPass(now)))

	stored := must(k.MarshalPrivate())
	back := must(ParseKeyring(stored))
	if back.KeyID() != k.KeyID() || !back.Created().Equal(k.Created()) || len(back.keys) != 2 {
		t.Errorf("read back %q of %v with %d keys, want %q of %v with 2", back.KeyID(), back.Created(), len(back.keys), k.KeyID(), k.Created())
	}
	if again := must(back.SignPass(testPass(now))); again != token {
		t.Error("the same pass signed after storage differs")
	}
	public := must(k.Public())
	if strings.Contains(string(public), `"d"`) {
		t.Fatal("the public key set holds private parts")
	}
	if _, err := must(NewVerifier(public)).VerifyPass(token, now); err != nil {
		t.Error(err)
	}
}

func TestRotationKeepsOldKeysAsLongAsAsked(t *testing.T) {
	now := time.Unix(1_700_000_000, 0)
	first := must(NewKeyring(now))
	token := must(first.SignPass(testPass(now)))
	second := must(first.Rotate(now, 2)) // the clock stands still
	third := must(second.Rotate(now.Add(-time.Hour), 2))
	for _, step := range []struct {
		name string
		ring *Keyring
		want error
	}{{"same keyring", first, nil}, {"after one rotation", second, nil}, {"after two", third, ErrUnknownKey}} {
		if _, err := step.ring.Verifier().VerifyPass(token, now); !errors.Is(err, step.want) {
			t.Errorf("%s: got %v, want %v", step.name, err, step.want)
		}
	}
	// The newest signs, also after the set was stored and the clock went back.
	if back := must(ParseKeyring(must(third.MarshalPrivate()))); back.KeyID() != third.KeyID() || third.KeyID() == second.KeyID() {
		t.Errorf("signing key after storage is %q, want %q", back.KeyID(), third.KeyID())
	}
	for _, keep := range []int{0, -1, maxKeySetKeys + 1} {
		if _, err := first.Rotate(now, keep); err == nil {
			t.Errorf("keep %d was accepted", keep)
		}
	}
}

func TestBadKeySetsAreRefused(t *testing.T) {
	k := must(NewKeyring(time.Unix(1_700_000_000, 0)))
	private, public := string(must(k.MarshalPrivate())), string(must(k.Public()))
	one := func(set string) string { return set[len(`{"keys":[`) : len(set)-2] }
	other := string(must(must(NewKeyring(time.Unix(1, 0))).MarshalPrivate()))
	otherX := other[strings.Index(other, `"x":"`)+5:][:43]
	ownX := private[strings.Index(private, `"x":"`)+5:][:43]
	for name, set := range map[string]string{
		"empty":           ``,
		"not JSON":        `keys`,
		"array":           `[]`,
		"null":            `null`,
		"no keys":         `{"keys":[]}`,
		"public only":     public,
		"other curve":     strings.Replace(private, "Ed25519", "X25519", 1),
		"other use":       strings.Replace(private, `"sig"`, `"enc"`, 1),
		"other algorithm": strings.Replace(private, `"EdDSA"`, `"ES256"`, 1),
		"wrong x":         strings.Replace(private, ownX, otherX, 1),
		"short d":         strings.Replace(private, `"d":"`, `"d":"AAAA`, 1),
		"key id twice":    `{"keys":[` + one(private) + `,` + one(private) + `]}`,
		"bad key id":      strings.Replace(private, k.KeyID(), `a\"b`, 1),
		"doubled name":    strings.Replace(private, `"kty"`, `"use":"sig","kty"`, 1),
		"too large":       private + strings.Repeat(" ", maxKeySetSize),
	} {
		if _, err := ParseKeyring([]byte(set)); !errors.Is(err, ErrBadKeys) {
			t.Errorf("ParseKeyring, %s: got %v, want ErrBadKeys", name, err)
		}
	}
	for name, set := range map[string]string{
		"empty":        ``,
		"private":      private,
		"only unknown": `{"keys":[{"kty":"EC","crv":"P-256"}]}`,
		"key id twice": `{"keys":[` + one(public) + `,` + one(public) + `]}`,
		"short x":      strings.Replace(public, `"x":"`, `"x":"AAAA`, 1),
	} {
		if _, err := NewVerifier([]byte(set)); !errors.Is(err, ErrBadKeys) {
			t.Errorf("NewVerifier, %s: got %v, want ErrBadKeys", name, err)
		}
	}
	mixed := `{"keys":[{"kty":"EC","crv":"P-256"},` + one(public) + `]}`
	if _, err := NewVerifier([]byte(mixed)); err != nil {
		t.Errorf("a set with a key of another type beside a good one: %v", err)
	}
}

func TestTokensAreSmall(t *testing.T) {
	k := fixedKeyring(t)
	pass := must(k.SignPass(Pass{
		Peer: strings.Repeat("p", 22), Swarm: strings.Repeat("s", 43), Scope: []string{"/streams/channel-1/"},
		ReceiveOnly: true, Issued: vectorNow, Expires: vectorNow.Add(time.Minute),
	}))
	segment := must(k.SignSegment(Segment{
		Path: "/streams/channel-1/video/1080p/segment-0000123456.m4s", Offset: 1 << 30, Size: 1 << 22, ChunkSize: 1 << 16, Expires: vectorNow,
	}))
	t.Logf("a usual pass has %d bytes, a usual segment token %d", len(pass), len(segment))
	if len(pass) > 450 || len(segment) > 450 {
		t.Errorf("pass %d bytes, segment token %d bytes, want at most 450", len(pass), len(segment))
	}
}

func TestSigningRefusesWhatVerifyingWould(t *testing.T) {
	k := fixedKeyring(t)
	for name, change := range map[string]func(*Pass){
		"no peer":       func(p *Pass) { p.Peer = "" },
		"control byte":  func(p *Pass) { p.Peer = "a\nb" },
		"long swarm":    func(p *Pass) { p.Swarm = strings.Repeat("s", maxNameSize+1) },
		"no scope":      func(p *Pass) { p.Scope = nil },
		"query":         func(p *Pass) { p.Scope = []string{"/a?b"} },
		"many paths":    func(p *Pass) { p.Scope = make([]string, maxScopePaths+1) },
		"no life":       func(p *Pass) { p.Expires = p.Issued },
		"zero times":    func(p *Pass) { p.Issued, p.Expires = time.Time{}, time.Time{} },
		"over the size": func(p *Pass) { p.Scope = []string{"/" + strings.Repeat("a", MaxTokenSize-1)} },
	} {
		p := testPass(vectorNow)
		change(&p)
		if token, err := k.SignPass(p); !errors.Is(err, ErrMalformed) || token != "" {
			t.Errorf("pass with %s: got %v, want ErrMalformed", name, err)
		}
	}
	for name, change := range map[string]func(*Segment){
		"raw space":      func(s *Segment) { s.Path = "/a b" },
		"no size":        func(s *Segment) { s.Size = 0 },
		"overflow":       func(s *Segment) { s.Offset = 1<<63 - 1 },
		"no chunk size":  func(s *Segment) { s.ChunkSize = 0 },
		"zero expiry":    func(s *Segment) { s.Expires = time.Time{} },
		"over the size":  func(s *Segment) { s.Path = "/" + strings.Repeat("a", MaxTokenSize-1) },
		"over the limit": func(s *Segment) { s.Path = "/" + strings.Repeat("a", MaxTokenSize) },
	} {
		s := Segment{Path: "/a", Size: 1, ChunkSize: 1, Expires: vectorNow}
		change(&s)
		if token, err := k.SignSegment(s); !errors.Is(err, ErrMalformed) || token != "" {
			t.Errorf("segment with %s: got %v, want ErrMalformed", name, err)
		}
	}
}
