package tokens

import (
	"bytes"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

// go test ./tokens -run TestVectors -rewrite writes the vector file anew.
var rewrite = flag.Bool("rewrite", false, "write testdata/mesh-tokens.json instead of comparing with it")

const vectorFile = "testdata/mesh-tokens.json"

// vectorNow is the time most vectors are checked at.
var vectorNow = time.Unix(1_700_000_000, 0).UTC()

type vectorSet struct {
	About   string          `json:"about"`
	Private json.RawMessage `json:"private_keys_for_tests_only"`
	Public  json.RawMessage `json:"public_keys"`
	Tokens  []tokenVector   `json:"tokens"`
	Covers  []coverVector   `json:"covers"`
	TURN    []turnVector    `json:"turn"`
}

type tokenVector struct {
	Name    string         `json:"name"`
	Kind    string         `json:"kind"`            // "pass" or "segment"
	Now     int64          `json:"now"`             // Unix seconds
	Error   string         `json:"error,omitempty"` // expected, or
	Pass    *passVector    `json:"pass,omitempty"`
	Segment *segmentVector `json:"segment,omitempty"`
	Token   string         `json:"token"`
}

type passVector struct {
	Peer        string   `json:"peer"`
	Swarm       string   `json:"swarm"`
	Scope       []string `json:"scope"`
	ReceiveOnly bool     `json:"receive_only"`
	Key         string   `json:"key_hex,omitempty"`
	Issued      int64    `json:"issued"`
	Expires     int64    `json:"expires"`
}

type segmentVector struct {
	Path      string `json:"path"`
	Query     string `json:"query,omitempty"`
	Offset    int64  `json:"offset"`
	Size      int64  `json:"size"`
	ChunkSize int    `json:"chunk_size"`
	Root      string `json:"root_hex"`
	Issued    int64  `json:"issued,omitempty"`
	Expires   int64  `json:"expires"`
}

type coverVector struct {
	Prefix string `json:"prefix"`
	Path   string `json:"path"`
	Covers bool   `json:"covers"`
}

type turnVector struct {
	Secret   string `json:"secret"`
	User     string `json:"user"`
	Expires  int64  `json:"expires"`
	Username string `json:"username"`
	Password string `json:"password"`
}

// errorName gives the name a vector uses for an error, which is also what the
// JavaScript verifier reports.
func errorName(err error) string {
	for _, e := range []struct {
		err  error
		name string
	}{
		{ErrMalformed, "malformed"}, {ErrAlgorithm, "algorithm"}, {ErrWrongType, "wrong_type"},
		{ErrCritical, "critical"}, {ErrUnknownKey, "unknown_key"}, {ErrSignature, "signature"}, {ErrExpired, "expired"},
	} {
		if errors.Is(err, e.err) {
			return e.name
		}
	}
	return ""
}

func vectorOfPass(p Pass) *passVector {
	return &passVector{p.Peer, p.Swarm, p.Scope, p.ReceiveOnly, hex.EncodeToString(p.Key), p.Issued.Unix(), p.Expires.Unix()}
}

func vectorOfSegment(s Segment) *segmentVector {
	v := &segmentVector{s.Path, s.Query, s.Offset, s.Size, s.ChunkSize, hex.EncodeToString(s.Root[:]), 0, s.Expires.Unix()}
	if !s.Issued.IsZero() {
		v.Issued = s.Issued.Unix()
	}
	return v
}

// TestVectors runs every vector of the file that JavaScript runs too, and holds
// the file to what this package makes.
func TestVectors(t *testing.T) {
	built, err := json.MarshalIndent(buildVectors(t), "", "\t")
	if err != nil {
		t.Fatal(err)
	}
	built = append(built, '\n')
	if *rewrite {
		if err := os.WriteFile(vectorFile, built, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored, err := os.ReadFile(vectorFile)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(built, stored) {
		t.Errorf("%s differs from what the package makes; if the change is meant, run with -rewrite and change the JavaScript verifier too", vectorFile)
	}
	var set vectorSet
	if err := json.Unmarshal(stored, &set); err != nil {
		t.Fatal(err)
	}
	verifier, err := NewVerifier(set.Public)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range set.Tokens {
		t.Run(strings.ReplaceAll(v.Name, " ", "_"), func(t *testing.T) {
			now := time.Unix(v.Now, 0)
			var err error
			if v.Kind == "pass" {
				var p Pass
				if p, err = verifier.VerifyPass(v.Token, now); err == nil {
					if v.Pass == nil || !reflect.DeepEqual(vectorOfPass(p), v.Pass) {
						t.Errorf("got %+v, want %+v", p, v.Pass)
					}
				}
			} else {
				var s Segment
				if s, err = verifier.VerifySegment(v.Token, now); err == nil {
					if v.Segment == nil || !reflect.DeepEqual(vectorOfSegment(s), v.Segment) {
						t.Errorf("got %+v, want %+v", s, v.Segment)
					}
				}
			}
			if errorName(err) != v.Error || (err != nil) != (v.Error != "") {
				t.Errorf("got error %v, want %q", err, v.Error)
			}
			if err != nil && len(v.Token) > 20 && strings.Contains(err.Error(), v.Token[:20]) {
				t.Errorf("error shows the token: %v", err)
			}
		})
	}
	for _, v := range set.Covers {
		if got := CoversPath(v.Prefix, v.Path); got != v.Covers {
			t.Errorf("CoversPath(%q, %q) = %v", v.Prefix, v.Path, got)
		}
	}
	for _, v := range set.TURN {
		username, password := TURNCredentials([]byte(v.Secret), v.User, time.Unix(v.Expires, 0))
		if username != v.Username || password != v.Password {
			t.Errorf("TURN credentials for %q: got %q %q, want %q %q", v.User, username, password, v.Username, v.Password)
		}
	}
}

// fixedKeyring has two keys made from fixed seeds; the first signs.
func fixedKeyring(t testing.TB) *Keyring {
	t.Helper()
	mk := func(fill byte, created int64) meshJWK {
		private := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{fill}, ed25519.SeedSize))
		public := private.Public().(ed25519.PublicKey)
		return meshJWK{KeyType: "OKP", Curve: "Ed25519", KeyID: keyID(public), X: b64.EncodeToString(public), D: b64.EncodeToString(private.Seed()), IssuedAt: created}
	}
	raw, err := json.Marshal(meshJWKS{Keys: []meshJWK{mk(2, 1_699_000_000), mk(1, 1_699_900_000)}})
	if err != nil {
		t.Fatal(err)
	}
	k, err := ParseKeyring(raw)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func buildVectors(t *testing.T) vectorSet {
	k := fixedKeyring(t)
	old := ringKey{id: k.keys[1].id, private: k.keys[1].private}
	private, err := k.MarshalPrivate()
	if err != nil {
		t.Fatal(err)
	}
	public, err := k.Public()
	if err != nil {
		t.Fatal(err)
	}
	set := vectorSet{
		About: "Passes and segment tokens with the outcome every verifier must reach; claims are described in tokens/doc.go. " +
			"Errors: malformed, algorithm, wrong_type, critical, unknown_key, signature, expired.",
		Private: private, Public: public,
	}
	pass := Pass{
		Peer: "p-7f3a", Swarm: "s-Zm9vYmFy", Scope: []string{"/live/", "/vod/film"},
		Issued: vectorNow, Expires: vectorNow.Add(10 * time.Minute),
	}
	segment := Segment{
		Path: "/live/720p/seg_001%20a.m4s", Size: 1_234_567, ChunkSize: 65536,
		Expires: vectorNow.Add(time.Hour),
	}
	for i := range segment.Root {
		segment.Root[i] = byte(i)
	}
	signPass := func(p Pass) string { return must(k.SignPass(p)) }
	signSegment := func(s Segment) string { return must(k.SignSegment(s)) }
	// raw signs any header and payload with a key, well formed or not.
	raw := func(key ringKey, header, payload string) string {
		input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(payload))
		return input + "." + b64.EncodeToString(ed25519.Sign(key.private, []byte(input)))
	}
	head := func(kid, typ string) string { return `{"alg":"EdDSA","kid":"` + kid + `","typ":"` + typ + `"}` }
	newest := k.keys[0]
	payloadOf := func(token string) string {
		return string(must(b64.DecodeString(strings.Split(token, ".")[1])))
	}
	passPayload, segmentPayload := payloadOf(signPass(pass)), payloadOf(signSegment(segment))

	add := func(v tokenVector) {
		if v.Now == 0 {
			v.Now = vectorNow.Unix()
		}
		set.Tokens = append(set.Tokens, v)
	}
	bad := func(name, kind, want, token string) {
		add(tokenVector{Name: name, Kind: kind, Error: want, Token: token})
	}
	receiveOnly := pass
	receiveOnly.ReceiveOnly, receiveOnly.Scope = true, []string{"/"}
	ranged := segment
	ranged.Offset, ranged.Size = 1<<32, 1

	add(tokenVector{Name: "pass good", Kind: "pass", Pass: vectorOfPass(pass), Token: signPass(pass)})
	keyed := pass
	keyed.Key = ed25519.PublicKey(bytes.Repeat([]byte{7}, 32))
	add(tokenVector{Name: "pass with a session key", Kind: "pass", Pass: vectorOfPass(keyed), Token: signPass(keyed)})
	add(tokenVector{Name: "pass good in its last second", Kind: "pass", Now: pass.Expires.Unix() - 1, Pass: vectorOfPass(pass), Token: signPass(pass)})
	add(tokenVector{Name: "pass receive only, whole scope", Kind: "pass", Pass: vectorOfPass(receiveOnly), Token: signPass(receiveOnly)})
	add(tokenVector{Name: "pass signed by the older key", Kind: "pass", Pass: vectorOfPass(pass), Token: raw(old, head(old.id, typePass), passPayload)})
	add(tokenVector{Name: "pass with another header order and an unknown claim", Kind: "pass", Pass: vectorOfPass(pass),
		Token: raw(newest, `{ "typ":"mesh-pass+jwt", "kid":"`+newest.id+`", "alg":"EdDSA", "x":1 }`, strings.Replace(passPayload, "{", `{"new":[1],`, 1))})
	add(tokenVector{Name: "pass expired on the second", Kind: "pass", Now: pass.Expires.Unix(), Error: "expired", Token: signPass(pass)})
	bad("pass shown where a segment token is due", "segment", "wrong_type", signPass(pass))
	bad("pass with a typ of nobody", "pass", "wrong_type", raw(newest, head(newest.id, "JWT"), passPayload))
	bad("pass without typ", "pass", "wrong_type", raw(newest, `{"alg":"EdDSA","kid":"`+newest.id+`"}`, passPayload))
	bad("pass with alg none", "pass", "algorithm", b64.EncodeToString([]byte(`{"alg":"none","kid":"`+newest.id+`","typ":"mesh-pass+jwt"}`))+"."+b64.EncodeToString([]byte(passPayload))+".")
	bad("pass with alg HS256", "pass", "algorithm", raw(newest, `{"alg":"HS256","kid":"`+newest.id+`","typ":"mesh-pass+jwt"}`, passPayload))
	bad("pass with crit", "pass", "critical", raw(newest, `{"alg":"EdDSA","kid":"`+newest.id+`","typ":"mesh-pass+jwt","crit":["exp"]}`, passPayload))
	bad("pass with an unknown key id", "pass", "unknown_key", raw(newest, head("nobody", typePass), passPayload))
	bad("pass without a key id", "pass", "unknown_key", raw(newest, `{"alg":"EdDSA","typ":"mesh-pass+jwt"}`, passPayload))
	bad("pass with the key id of another key", "pass", "signature", raw(newest, head(old.id, typePass), passPayload))
	good := signPass(pass)
	parts := strings.Split(good, ".")
	other := strings.Split(signPass(receiveOnly), ".")
	bad("pass with the claims of another pass", "pass", "signature", parts[0]+"."+other[1]+"."+parts[2])
	bad("pass with half a signature", "pass", "signature", parts[0]+"."+parts[1]+"."+b64.EncodeToString(must(b64.DecodeString(parts[2]))[:32]))
	bad("pass without a signature", "pass", "signature", parts[0]+"."+parts[1]+".")
	bad("pass of two parts", "pass", "malformed", parts[0]+"."+parts[1])
	bad("pass of four parts", "pass", "malformed", good+".AA")
	bad("pass padded", "pass", "malformed", good+"==")
	bad("pass with a second spelling of its signature", "pass", "malformed", good[:len(good)-1]+string(lastB64Sibling(good[len(good)-1])))
	bad("pass with a line break", "pass", "malformed", parts[0]+"."+parts[1]+"."+parts[2][:20]+"\n"+parts[2][20:])
	bad("pass with a space before it", "pass", "malformed", " "+good)
	bad("empty", "pass", "malformed", "")
	bad("pass longer than the limit", "pass", "malformed", parts[0]+"."+strings.Repeat("A", MaxTokenSize)+"."+parts[2])
	bad("header not JSON", "pass", "malformed", raw(newest, `alg=EdDSA`, passPayload))
	bad("claims not an object", "pass", "malformed", raw(newest, head(newest.id, typePass), `["p"]`))
	for _, c := range []struct{ name, from, to string }{
		{"without sub", `"sub":"p-7f3a",`, ``},
		{"with a number as sub", `"p-7f3a"`, `7`},
		{"with a space in sub", `"p-7f3a"`, `"p 7"`},
		{"with an empty swarm", `"s-Zm9vYmFy"`, `""`},
		{"without scope", `"scp":["/live/","/vod/film"],`, ``},
		{"with an empty scope", `["/live/","/vod/film"]`, `[]`},
		{"with a relative scope", `"/live/"`, `"live/"`},
		{"with a dot segment in scope", `"/live/"`, `"/live/%2e%2E/"`},
		{"with an encoded slash in scope", `"/live/"`, `"/live%2f"`},
		{"with a session key that is too short", `"iat"`, `"key":"AAEC","iat"`},
		{"with a session key that is a number", `"iat"`, `"key":7,"iat"`},
		{"with a string as receive only", `"iat"`, `"rcv":"yes","iat"`},
		{"without exp", `,"exp":1700000600`, ``},
		{"with a fraction in exp", `1700000600`, `1700000600.5`},
		{"with exp before iat", `1700000600`, `1699999999`},
		{"with a huge exp", `1700000600`, `9007199254740992`},
	} {
		changed := strings.Replace(passPayload, c.from, c.to, 1)
		if changed == passPayload {
			t.Fatalf("vector %q changes nothing", c.name)
		}
		bad("pass "+c.name, "pass", "malformed", raw(newest, head(newest.id, typePass), changed))
	}

	add(tokenVector{Name: "segment good", Kind: "segment", Segment: vectorOfSegment(segment), Token: signSegment(segment)})
	add(tokenVector{Name: "segment byte range", Kind: "segment", Segment: vectorOfSegment(ranged), Token: signSegment(ranged)})
	queried := segment
	queried.Query = "q=hi&x=%2F?[a]|^"
	add(tokenVector{Name: "segment with a query", Kind: "segment", Segment: vectorOfSegment(queried), Token: signSegment(queried)})
	issued := segment
	issued.Issued = segment.Expires.Add(-time.Hour)
	add(tokenVector{Name: "segment with a time of issue", Kind: "segment", Segment: vectorOfSegment(issued), Token: signSegment(issued)})
	add(tokenVector{Name: "segment good in its last second", Kind: "segment", Now: segment.Expires.Unix() - 1, Segment: vectorOfSegment(segment), Token: signSegment(segment)})
	add(tokenVector{Name: "segment expired on the second", Kind: "segment", Now: segment.Expires.Unix(), Error: "expired", Token: signSegment(segment)})
	bad("segment token shown where a pass is due", "pass", "wrong_type", signSegment(segment))
	for _, c := range []struct{ name, from, to string }{
		{"with a query", `%20a.m4s`, `.m4s?x=1`},
		{"with a raw space", `%20a.m4s`, ` a.m4s`},
		{"with half an escape", `%20a.m4s`, `%2`},
		{"with a dot segment", `/720p/`, `/../`},
		{"with a fragment in its query", `"siz"`, `"qry":"a#b","siz"`},
		{"with a space in its query", `"siz"`, `"qry":"a b","siz"`},
		{"with a query that is a number", `"siz"`, `"qry":7,"siz"`},
		{"with a negative offset", `"siz"`, `"off":-1,"siz"`},
		{"with size zero", `"siz":1234567`, `"siz":0`},
		{"with offset and size beyond 2^53-1", `"siz":1234567`, `"off":9007199254740991,"siz":1`},
		{"with chunk size zero", `"chk":65536`, `"chk":0`},
		{"with a chunk size beyond the limit", `"chk":65536`, `"chk":1073741825`},
		{"with a short root", `"rot":"AAEC`, `"rot":"`},
		{"with a padded root", `Hh8"`, `Hh8="`},
		{"without exp", `,"exp":1700003600`, ``},
		{"issued when it expires", `"exp"`, `"iat":1700003600,"exp"`},
		{"with a negative time of issue", `"exp"`, `"iat":-1,"exp"`},
	} {
		changed := strings.Replace(segmentPayload, c.from, c.to, 1)
		if changed == segmentPayload {
			t.Fatalf("vector %q changes nothing", c.name)
		}
		bad("segment "+c.name, "segment", "malformed", raw(newest, head(newest.id, typeSegment), changed))
	}

	set.Covers = []coverVector{
		{"/", "/", true}, {"/", "/live/a.m4s", true},
		{"/live", "/live", true}, {"/live", "/live/a.m4s", true}, {"/live", "/liver/a.m4s", false},
		{"/live/", "/live/a/b.m4s", true}, {"/live/", "/live", false}, {"/live/", "/Live/a.m4s", false},
		{"/live/", "/live/../vod/a.m4s", false}, {"/live/", "/live/%2e%2E/vod/a.m4s", false},
		{"/live/", "/live/..%2fvod/a.m4s", false}, {"/live/", "/live/..%5Cvod/a.m4s", false},
		{"/live/", "/live/..;x=1/vod/a.m4s", false}, {"/live/", "/live/a%00.m4s", false},
		{"/live/", "/live/..a/b..m4s", true}, {"/live/", "/live/a.m4s?x", false}, {"/live/", "live/a.m4s", false},
		{"", "/live/a.m4s", false}, {"/a%20b/", "/a%20b/c", true}, {"/a%20b/", "/a b/c", false},
	}
	for _, c := range []struct {
		secret, user string
		expires      int64
	}{{"north", "peer-1", 1_700_000_000}, {"north", "", 1_700_000_000}, {"a longer secret of bytes", "p:with:colons", 1_999_999_999}} {
		username, password := TURNCredentials([]byte(c.secret), c.user, time.Unix(c.expires, 0))
		set.TURN = append(set.TURN, turnVector{c.secret, c.user, c.expires, username, password})
	}
	return set
}

// lastB64Sibling gives another character with the same leading bits, so that a
// lenient decoder reads the same bytes.
func lastB64Sibling(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// The published vector: it keeps the three above from being wrong
// together.
func TestTURNCredentialsKnownAnswer(t *testing.T) {
	username, password := TURNCredentials([]byte("north"), "peer-1", time.Unix(1_700_000_000, 0))
	if username != "1700000000:peer-1" || password != "izFBtBN0tC8mfzbn9GsbjcqtfUw=" {
		t.Errorf("got %q %q", username, password)
	}
	if _, err := base64.StdEncoding.DecodeString(password); err != nil {
		t.Error(err)
	}
	user, expires, err := ParseTURNUsername(username)
	if err != nil || user != "peer-1" || expires.Unix() != 1_700_000_000 {
		t.Errorf("got %q %v %v", user, expires, err)
	}
	for _, bad := range []string{"", "peer-1", "x:peer-1", "-1:p", "01:p", "+1:p", "99999999999999999999:p", "9007199254740992"} {
		if _, _, err := ParseTURNUsername(bad); !errors.Is(err, ErrTURNUsername) {
			t.Errorf("%q: got error %v", bad, err)
		}
	}
}
