package tokens

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

// TestOneSpelling: of every kind of token, none that differs in one character is
// accepted, wherever that is, not even where base64 has bits that stand for no
// byte; neither by a verifier that has never seen the token, nor by one that
// remembers the good one.
func TestOneSpelling(t *testing.T) {
	now := unix(1_700_000_000)
	claims := map[string]any{"exp": now.Unix() + 60, "cdniuc": "regex:https://h/.*"}
	viewer := func(verify func(token string) error) func(string) error {
		return func(token string) error {
			err := verify(token)
			if err != nil && ReasonOf(err) == "" {
				t.Errorf("%v is no refusal", err)
			}
			return err
		}
	}
	set := must(ParseKeySet(makeKeyPair(t, EdDSA).privateJWK))
	secret := must(SecretKeySet([]byte(strings.Repeat("s", 32)), ""))
	jwt := func(keys *KeySet, alg string) func(string) error {
		j := must(NewJWT(JWTConfig{Trust: []Trust{{Keys: keys}}, Algorithms: []string{alg}}))
		return viewer(func(token string) error {
			_, err := j.Verify(context.Background(), Request{URI: "https://h/a", Token: token, Time: now})
			return err
		})
	}
	signing := must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: set}}}))
	ring := must(NewKeyring(now))
	verifier := must(NewVerifier(must(ring.Public())))
	for name, c := range map[string]struct {
		token  string
		verify func(string) error
	}{
		"JWT EdDSA": {must(must(NewSigner(set, "")).Sign(claims)), jwt(set, EdDSA)},
		"JWT HS256": {must(must(NewSigner(secret, "")).Sign(claims)), jwt(secret, HS256)},
		"URI Signing": {must(must(NewSigner(set, "")).Sign(claims)), viewer(func(token string) error {
			_, err := signing.Verify(context.Background(), Request{URI: "https://h/a", Token: token, Time: now})
			return err
		})},
		"pass": {
			must(ring.SignPass(Pass{Peer: "0000000000000001", Swarm: "s", Scope: []string{"/"}, Issued: now, Expires: now.Add(time.Minute)})),
			func(token string) error { _, err := verifier.VerifyPass(token, now); return err },
		},
		"segment token": {
			must(ring.SignSegment(Segment{Path: "/a", Size: 1, ChunkSize: 16384, Expires: now.Add(time.Minute)})),
			func(token string) error { _, err := verifier.VerifySegment(token, now); return err },
		},
	} {
		t.Run(name, func(t *testing.T) {
			const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
			try := func(token string) {
				t.Helper()
				if err := c.verify(token); err == nil {
					t.Errorf("%s is accepted beside %s", token, c.token)
				}
			}
			for _, remembered := range []bool{false, true} {
				if remembered {
					if err := c.verify(c.token); err != nil {
						t.Fatal(err)
					}
				}
				for i := range len(c.token) {
					if at := strings.IndexByte(alphabet, c.token[i]); at >= 0 {
						// The last bit, of which most ends of a part have one to spare.
						try(c.token[:i] + string(alphabet[at^1]) + c.token[i+1:])
						try(c.token[:i] + string(alphabet[at^32]) + c.token[i+1:])
					}
					try(c.token[:i] + "\n" + c.token[i:])
				}
				for _, more := range []string{"=", "==", "A", "\n", " ", ".", "%3D"} {
					try(c.token + more)
				}
			}
			if err := c.verify(c.token); err != nil {
				t.Errorf("the token itself: %v", err)
			}
		})
	}
	if _, err := decodeB64("QQ"); err != nil {
		t.Errorf("QQ is canonical: %v", err)
	}
	if _, err := decodeB64("QR"); !errors.Is(err, ErrMalformed) {
		t.Errorf("QR has bits to spare that are not zero: %v", err)
	}
}
