package tokens

import (
	"encoding/json"
	"os"
	"testing"
)

func vectorSeeds(f *testing.F) vectorSet {
	f.Helper()
	raw, err := os.ReadFile(vectorFile)
	if err != nil {
		f.Fatal(err)
	}
	var set vectorSet
	if err := json.Unmarshal(raw, &set); err != nil {
		f.Fatal(err)
	}
	return set
}

// What verifies must be a token this keyring signed: signing its content again
// with the newest key must verify to the same content.
func FuzzVerifyPass(f *testing.F) {
	for _, v := range vectorSeeds(f).Tokens {
		f.Add(v.Token)
	}
	k := fixedKeyring(f)
	f.Fuzz(func(t *testing.T, token string) {
		p, err := k.Verifier().VerifyPass(token, vectorNow)
		if err != nil {
			if errorName(err) == "" {
				t.Fatalf("error of no known kind: %v", err)
			}
			return
		}
		if _, err := k.SignPass(p); err != nil {
			t.Fatalf("a pass that verifies cannot be signed: %v", err)
		}
	})
}

func FuzzVerifySegment(f *testing.F) {
	for _, v := range vectorSeeds(f).Tokens {
		f.Add(v.Token)
	}
	k := fixedKeyring(f)
	f.Fuzz(func(t *testing.T, token string) {
		s, err := k.Verifier().VerifySegment(token, vectorNow)
		if err != nil {
			if errorName(err) == "" {
				t.Fatalf("error of no known kind: %v", err)
			}
			return
		}
		if _, err := k.SignSegment(s); err != nil {
			t.Fatalf("a segment that verifies cannot be signed: %v", err)
		}
	})
}

// The claims are fuzzed behind the signature too, which a mutated token never
// gets past.
func FuzzClaims(f *testing.F) {
	f.Add([]byte(`{"sub":"p","swm":"s","scp":["/"],"iat":1,"exp":1700000001}`))
	f.Add([]byte(`{"pth":"/a","siz":1,"chk":1,"rot":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA","exp":1700000001}`))
	k := fixedKeyring(f)
	f.Fuzz(func(t *testing.T, claims []byte) {
		if !json.Valid(claims) {
			return
		}
		token, err := k.sign(typePass, json.RawMessage(claims))
		if err == nil {
			if p, err := k.Verifier().VerifyPass(token, vectorNow); err == nil {
				if again := must(k.SignPass(p)); must(k.Verifier().VerifyPass(again, vectorNow)).Peer != p.Peer {
					t.Fatal("signing again changes the pass")
				}
			}
		}
		if token, err = k.sign(typeSegment, json.RawMessage(claims)); err == nil {
			if s, err := k.Verifier().VerifySegment(token, vectorNow); err == nil {
				if again := must(k.SignSegment(s)); must(k.Verifier().VerifySegment(again, vectorNow)) != s {
					t.Fatal("signing again changes the segment")
				}
			}
		}
	})
}

func FuzzKeySets(f *testing.F) {
	set := vectorSeeds(f)
	f.Add([]byte(set.Private))
	f.Add([]byte(set.Public))
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","x":""}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _ = NewVerifier(raw)
		k, err := ParseKeyring(raw)
		if err != nil {
			return
		}
		if _, err := NewVerifier(must(k.Public())); err != nil {
			t.Fatalf("public form of an accepted keyring is refused: %v", err)
		}
		if back, err := ParseKeyring(must(k.MarshalPrivate())); err != nil || back.KeyID() != k.KeyID() {
			t.Fatalf("stored form of an accepted keyring: %v", err)
		}
	})
}

func FuzzCoversPath(f *testing.F) {
	for _, v := range vectorSeeds(f).Covers {
		f.Add(v.Prefix, v.Path)
	}
	f.Fuzz(func(t *testing.T, prefix, path string) {
		if CoversPath(prefix, path) && !CoversPath("/", path) {
			t.Fatalf("%q covers %q, and \"/\" does not", prefix, path)
		}
	})
}

func FuzzParseTURNUsername(f *testing.F) {
	f.Add("1700000000:peer-1")
	f.Fuzz(func(t *testing.T, username string) {
		user, expires, err := ParseTURNUsername(username)
		if err != nil {
			return
		}
		if again, _ := TURNCredentials(nil, user, expires); again != username && again+":" != username {
			t.Fatalf("%q is read as %q", username, again)
		}
	})
}
