package tokens

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// keyPair is a key in the forms operators have it in.
type keyPair struct {
	algorithm             string
	privatePEM, publicPEM []byte
	privateJWK, publicJWK []byte
}

func makeKeyPair(t testing.TB, algorithm string) keyPair {
	t.Helper()
	var private, public any
	switch algorithm {
	case ES256:
		key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
		private, public = key, key.Public()
	case RS256:
		key := must(rsa.GenerateKey(rand.Reader, 2048))
		private, public = key, key.Public()
	case EdDSA:
		pub, key, err := ed25519.GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		private, public = key, pub
	}
	return keyPair{
		algorithm:  algorithm,
		privatePEM: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: must(x509.MarshalPKCS8PrivateKey(private))}),
		publicPEM:  pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: must(x509.MarshalPKIXPublicKey(public))}),
		privateJWK: must(jose.JSONWebKey{Key: private, KeyID: "k-" + algorithm}.MarshalJSON()),
		publicJWK:  must(jose.JSONWebKey{Key: public, KeyID: "k-" + algorithm, Algorithm: algorithm, Use: "sig"}.MarshalJSON()),
	}
}

func TestEveryAlgorithmInEveryKeyForm(t *testing.T) {
	claims := map[string]any{"exp": 200, "sub": "v"}
	check := func(t *testing.T, sign, verify *KeySet, algorithm string) {
		t.Helper()
		token := must(must(NewSigner(sign, "")).Sign(claims))
		r := Request{URI: "https://h/a", Token: token, Time: unix(100)}
		j := must(NewJWT(JWTConfig{Trust: []Trust{{Keys: verify}}, Algorithms: []string{algorithm}}))
		if e, err := j.Verify(context.Background(), r); err != nil || e.Subject != "v" || e.Expires.Unix() != 200 {
			t.Errorf("got %+v, %v", e, err)
		}
		for _, other := range []string{HS256, ES256, RS256, EdDSA} {
			if other == algorithm {
				continue
			}
			j := must(NewJWT(JWTConfig{Trust: []Trust{{Keys: verify}}, Algorithms: []string{other}}))
			if _, err := j.Verify(context.Background(), r); ReasonOf(err) != ReasonAlgorithm {
				t.Errorf("only %s allowed: got %v", other, err)
			}
		}
		// A changed byte of the claims.
		parts := strings.Split(token, ".")
		parts[1] = b64.EncodeToString([]byte(`{"exp":900,"sub":"v"}`))
		r.Token = strings.Join(parts, ".")
		if _, err := j.Verify(context.Background(), r); ReasonOf(err) != ReasonSignature {
			t.Errorf("changed claims: got %v", err)
		}
	}
	for _, algorithm := range []string{ES256, RS256, EdDSA} {
		t.Run(algorithm, func(t *testing.T) {
			pair := makeKeyPair(t, algorithm)
			for _, form := range []struct{ private, public []byte }{
				{pair.privatePEM, pair.publicPEM},
				{pair.privatePEM, pair.publicJWK},
				{pair.privateJWK, []byte(`{"keys":[` + string(pair.publicJWK) + `]}`)},
				{pair.privateJWK, pair.privateJWK},
			} {
				check(t, must(ParseKeySet(form.private)), must(ParseKeySet(form.public)), algorithm)
			}
			if _, err := NewSigner(must(ParseKeySet(pair.publicPEM)), ""); !errors.Is(err, ErrBadKeys) {
				t.Errorf("a public key signs: %v", err)
			}
		})
	}
	t.Run(HS256, func(t *testing.T) {
		secret := must(SecretKeySet([]byte(strings.Repeat("s", 32)), ""))
		jwk := must(ParseKeySet([]byte(`{"kty":"oct","k":"` + b64.EncodeToString([]byte(strings.Repeat("s", 32))) + `"}`)))
		check(t, secret, jwk, HS256)
		check(t, jwk, secret, HS256)
	})
}

// The classic attack: a token signed with HMAC, the public key's text as secret.
func TestPublicKeyIsNoSecret(t *testing.T) {
	pair := makeKeyPair(t, RS256)
	forged := must(must(NewSigner(must(SecretKeySet(pair.publicPEM, "")), "")).Sign(map[string]any{"exp": 200}))
	j := must(NewJWT(JWTConfig{Trust: []Trust{{Keys: must(ParseKeySet(pair.publicPEM))}}, Algorithms: []string{HS256, RS256}}))
	if _, err := j.Verify(context.Background(), Request{URI: "https://h/", Token: forged, Time: unix(100)}); ReasonOf(err) != ReasonUnknownKey {
		t.Errorf("got %v", err)
	}
}

func TestViewerKeySetsAreChecked(t *testing.T) {
	small := must(rsa.GenerateKey(rand.Reader, 1024))
	for name, raw := range map[string][]byte{
		"empty":          nil,
		"text":           []byte("secret"),
		"no keys":        []byte(`{"keys":[]}`),
		"other PEM":      []byte("-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
		"broken PEM":     []byte("-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"),
		"use tls":        []byte(`{"kty":"oct","use":"tls","k":"` + strings.Repeat("A", 86) + `"}`),
		"wraps keys":     []byte(`{"kty":"oct","key_ops":["wrapKey"],"k":"` + strings.Repeat("A", 86) + `"}`),
		"does nothing":   []byte(`{"kty":"oct","use":"sig","key_ops":[],"k":"` + strings.Repeat("A", 86) + `"}`),
		"short secret":   []byte(`{"kty":"oct","k":"AAAA"}`),
		"unknown curve":  []byte(`{"kty":"OKP","crv":"X25519","x":"AAAA"}`),
		"broken key":     []byte(`{"kty":"EC","crv":"P-256","x":"AAAA","y":"AAAA"}`),
		"small RSA":      pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: x509.MarshalPKCS1PublicKey(&small.PublicKey)}),
		"only another's": []byte(`{"kty":"oct","alg":"HS512","k":"` + strings.Repeat("A", 86) + `"}`),
		"too many":       []byte(`{"keys":[` + strings.Repeat("{},", maxKeySetKeys) + `{}]}`),
		"too large":      make([]byte, maxKeySetSize+1),
	} {
		if _, err := ParseKeySet(raw); !errors.Is(err, ErrBadKeys) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	if _, err := SecretKeySet(make([]byte, 31), ""); !errors.Is(err, ErrBadKeys) {
		t.Errorf("short secret: got %v", err)
	}
	// A key for encryption never verifies, and one for signatures never decrypts.
	enc := must(ParseKeySet([]byte(`{"kty":"oct","use":"enc","k":"` + strings.Repeat("A", 43) + `"}`)))
	token := must(must(NewSigner(must(SecretKeySet(make([]byte, 32), "")), "")).Sign(map[string]any{"exp": 200}))
	j := must(NewJWT(JWTConfig{Trust: []Trust{{Keys: enc}}, Algorithms: []string{HS256}}))
	if _, err := j.Verify(context.Background(), Request{URI: "https://h/", Token: token, Time: unix(100)}); ReasonOf(err) != ReasonUnknownKey {
		t.Errorf("a key of use enc verifies: %v", err)
	}
	if _, err := EncryptClaim(must(SecretKeySet(make([]byte, 32), "")), "", "x"); !errors.Is(err, ErrBadKeys) {
		t.Errorf("a signing secret encrypts: %v", err)
	}
}

func TestTokenPlaces(t *testing.T) {
	keys := must(SecretKeySet(make([]byte, 32), ""))
	token := must(must(NewSigner(keys, "")).Sign(map[string]any{"exp": 200}))
	const clean = "https://h/live/a.m4s?x=1"
	header := func(name string, values ...string) map[string][]string { return map[string][]string{name: values} }
	for _, c := range []struct {
		name   string
		from   []Lookup
		uri    string
		header map[string][]string
		want   Reason
	}{
		{"authorization by default", nil, clean, header("Authorization", "Bearer "+token), ""},
		{"scheme in any case", nil, clean, header("Authorization", "bearer  "+token), ""},
		{"another scheme", nil, clean, header("Authorization", "Basic "+token), ReasonMissing},
		{"header twice", nil, clean, header("Authorization", "Bearer "+token, "Bearer "+token), ReasonMissing},
		{"own header, name in any case", []Lookup{{InHeader, "x-viewer-TOKEN"}}, clean, header("X-Viewer-Token", token), ""},
		{"query", []Lookup{{InQuery, "t"}}, "https://h/live/a.m4s?x=1&t=" + token, nil, ""},
		{"query twice", []Lookup{{InQuery, "t"}}, clean + "&t=" + token + "&t=" + token, nil, ReasonMalformedURI},
		{"cookie", []Lookup{{InCookie, "t"}}, clean, header("Cookie", "s=1; t="+token), ""},
		{"path parameter", []Lookup{{InPath, "t"}}, "https://h/live/a.m4s;t=" + token + "?x=1", nil, ""},
		{"path segment", []Lookup{{InPath, "t"}}, "https://h/t=" + token + "/live/a.m4s?x=1", nil, ""},
		{"query is not path", []Lookup{{InPath, "t"}}, clean + "&t=" + token, nil, ReasonMissing},
		{"none", []Lookup{{InQuery, "t"}, {InCookie, "t"}}, clean, nil, ReasonMissing},
		{"first place wins, the other is removed too", []Lookup{{InCookie, "t"}, {InQuery, "t"}}, clean + "&t=other", header("Cookie", "t="+token), ""},
		{"a URI that is none", []Lookup{{InHeader, "Authorization"}}, "/live/a.m4s", header("Authorization", token), ReasonMalformedURI},
	} {
		j := must(NewJWT(JWTConfig{Trust: []Trust{{Keys: keys}}, Algorithms: []string{HS256}, From: c.from}))
		e, err := j.Verify(context.Background(), Request{URI: c.uri, Header: c.header, Time: unix(100)})
		if ReasonOf(err) != c.want || (err == nil) != (c.want == "") {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if err == nil && e.URI != clean {
			t.Errorf("%s: URI without token is %q", c.name, e.URI)
		}
	}
}

func TestJWTClaims(t *testing.T) {
	keys := must(SecretKeySet(make([]byte, 32), ""))
	signer := must(NewSigner(keys, ""))
	base := JWTConfig{Trust: []Trust{{Keys: keys, Issuers: []string{"login"}}}, Algorithms: []string{HS256}, Audience: []string{"video"}, PathsClaim: "paths"}
	for _, c := range []struct {
		name   string
		change map[string]any
		config func(*JWTConfig)
		want   Reason
		status int
	}{
		{name: "good"},
		{name: "one path as text", change: map[string]any{"paths": "/live/*"}},
		{name: "several audiences", change: map[string]any{"aud": []string{"x", "video"}}},
		{name: "no exp", change: map[string]any{"exp": nil}, want: ReasonExpired, status: 401},
		{name: "no exp, allowed", change: map[string]any{"exp": nil}, config: func(c *JWTConfig) { c.AllowNoExpiry = true }},
		{name: "exp is now", change: map[string]any{"exp": 100}, want: ReasonExpired, status: 401},
		{name: "exp within leeway", change: map[string]any{"exp": 91}, config: func(c *JWTConfig) { c.Leeway = 10 * time.Second }},
		{name: "exp beyond leeway", change: map[string]any{"exp": 90}, config: func(c *JWTConfig) { c.Leeway = 10 * time.Second }, want: ReasonExpired, status: 401},
		{name: "nbf later", change: map[string]any{"nbf": 101}, want: ReasonNotYetValid, status: 401},
		{name: "nbf within leeway", change: map[string]any{"nbf": 110}, config: func(c *JWTConfig) { c.Leeway = 10 * time.Second }},
		{name: "no issuer", change: map[string]any{"iss": nil}, want: ReasonIssuer, status: 401},
		{name: "other issuer", change: map[string]any{"iss": "Login"}, want: ReasonIssuer, status: 401},
		{name: "other audience", change: map[string]any{"aud": "audio"}, want: ReasonAudience, status: 401},
		{name: "no audience", change: map[string]any{"aud": nil}, want: ReasonAudience, status: 401},
		{name: "audience of numbers", change: map[string]any{"aud": []any{"video", 1}}, want: ReasonMalformed, status: 401},
		{name: "required claim missing", config: func(c *JWTConfig) { c.Required = []string{"plan"} }, want: ReasonMalformed, status: 401},
		{name: "other path", change: map[string]any{"paths": []string{"/vod/", "/liver"}}, want: ReasonURI, status: 403},
		{name: "no path", change: map[string]any{"paths": []string{}}, want: ReasonURI, status: 403},
		{name: "no claim of paths", change: map[string]any{"paths": nil}, want: ReasonURI, status: 403},
		{name: "paths of another type", change: map[string]any{"paths": true}, want: ReasonMalformed, status: 401},
		{name: "a wildcard that is not understood", change: map[string]any{"paths": "/*/a.m4s?x"}, want: ReasonURI, status: 403},
		{name: "everything, where no claim is configured", change: map[string]any{"paths": nil}, config: func(c *JWTConfig) { c.PathsClaim = "" }},
		{name: "wrong type", config: func(c *JWTConfig) { c.Type = "at+jwt" }, want: ReasonMalformed, status: 401},
	} {
		claims := map[string]any{"iss": "login", "aud": "video", "exp": 200, "sub": "v", "paths": []string{"/live/"}}
		for name, value := range c.change {
			if claims[name] = value; value == nil {
				delete(claims, name)
			}
		}
		config := base
		if c.config != nil {
			c.config(&config)
		}
		j := must(NewJWT(config))
		for i := range 2 { // fresh, and from memory
			_, err := j.Verify(context.Background(), Request{URI: "https://h/live/a.m4s", Token: must(signer.Sign(claims)), Time: unix(100)})
			if ReasonOf(err) != c.want || (err == nil) != (c.want == "") {
				t.Errorf("%s (%d): got %v, want %q", c.name, i, err, c.want)
			}
			var refusal *Refusal
			if errors.As(err, &refusal) && refusal.Status != c.status {
				t.Errorf("%s (%d): status %d, want %d", c.name, i, refusal.Status, c.status)
			}
		}
	}
}

func TestJWTHeaders(t *testing.T) {
	keys := must(ParseKeySet([]byte(testKeys)))
	private := keys.keys[0].sign.(ed25519.PrivateKey)
	raw := func(header string) string {
		input := b64.EncodeToString([]byte(header)) + "." + b64.EncodeToString([]byte(`{"exp":200}`))
		return input + "." + b64.EncodeToString(ed25519.Sign(private, []byte(input)))
	}
	j := must(NewJWT(JWTConfig{Trust: []Trust{{Keys: keys}}, Algorithms: []string{EdDSA}}))
	typed := must(NewJWT(JWTConfig{Trust: []Trust{{Keys: keys}}, Algorithms: []string{EdDSA}, Type: "AT+jwt"}))
	for _, c := range []struct {
		name, token string
		viewer      *JWT
		want        Reason
	}{
		{"good", raw(`{"alg":"EdDSA","kid":"k1"}`), j, ""},
		{"no key id", raw(`{"alg":"EdDSA","typ":"JWT"}`), j, ""},
		{"unknown key id", raw(`{"alg":"EdDSA","kid":"k2"}`), j, ReasonUnknownKey},
		{"none", b64.EncodeToString([]byte(`{"alg":"none"}`)) + "." + b64.EncodeToString([]byte(`{"exp":200}`)) + ".", j, ReasonAlgorithm},
		{"alg twice", raw(`{"alg":"none","alg":"EdDSA"}`), j, ReasonMalformed},
		{"crit", raw(`{"alg":"EdDSA","crit":["b64"],"b64":true}`), j, ReasonCritical},
		{"key in the header", raw(`{"alg":"EdDSA","kid":"k2","jwk":{"kty":"OKP","crv":"Ed25519","x":"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w"}}`), j, ReasonUnknownKey},
		{"a pass", must(fixedKeyring(t).SignPass(testPass(vectorNow))), j, ReasonMalformed},
		{"typed", raw(`{"alg":"EdDSA","typ":"application/at+JWT"}`), typed, ""},
		{"untyped where a type is due", raw(`{"alg":"EdDSA"}`), typed, ReasonMalformed},
		{"line break", raw(`{"alg":"EdDSA"}`) + "\n", j, ReasonMalformed},
		{"too long", strings.Repeat("A", MaxViewerTokenSize+1), j, ReasonMalformed},
	} {
		_, err := c.viewer.Verify(context.Background(), Request{URI: "https://h/", Token: c.token, Time: unix(100)})
		if ReasonOf(err) != c.want || (err == nil) != (c.want == "") {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
	}
}

// Each issuer is held to its own keys (RFC 9246 section 2.1.1).
func TestIssuersAreBoundToTheirKeys(t *testing.T) {
	one, two := must(SecretKeySet([]byte(strings.Repeat("1", 32)), "")), must(SecretKeySet([]byte(strings.Repeat("2", 32)), ""))
	j := must(NewJWT(JWTConfig{
		Trust:      []Trust{{Keys: one, Issuers: []string{"one"}}, {Keys: two, Issuers: []string{"two", "zwei"}}},
		Algorithms: []string{HS256},
	}))
	for _, c := range []struct {
		keys   *KeySet
		issuer string
		want   Reason
	}{{one, "one", ""}, {two, "zwei", ""}, {two, "one", ReasonSignature}, {one, "two", ReasonSignature}, {one, "", ReasonIssuer}} {
		token := must(must(NewSigner(c.keys, "")).Sign(map[string]any{"exp": 200, "iss": c.issuer}))
		e, err := j.Verify(context.Background(), Request{URI: "https://h/", Token: token, Time: unix(100)})
		if ReasonOf(err) != c.want || err == nil && e.Issuer != c.issuer {
			t.Errorf("issuer %q: got %v, want %q", c.issuer, err, c.want)
		}
	}
}

func TestPathGrant(t *testing.T) {
	g := pathGrant{prefixes: []string{"/live/", "/vod/film"}}
	for uri, want := range map[string]bool{
		"https://h/live/a": true, "https://h/vod/film/1": true, "https://h/vod/films": false,
		"https://h/live/../vod/x": false, "https://h/x/../live/a": true, "live/a": false,
	} {
		if g.Allows(uri) != want {
			t.Errorf("%s: got %v", uri, !want)
		}
	}
	if !slices.Equal(g.Scope(), g.prefixes) || !slices.Equal((pathGrant{everything: true}).Scope(), []string{"/"}) {
		t.Error("scope differs from what is granted")
	}
}

func TestJWTConfigIsChecked(t *testing.T) {
	trust := []Trust{{Keys: must(SecretKeySet(make([]byte, 32), ""))}}
	for name, config := range map[string]JWTConfig{
		"nobody to trust":   {Algorithms: []string{HS256}},
		"no algorithm":      {Trust: trust},
		"unknown algorithm": {Trust: trust, Algorithms: []string{"HS512"}},
		"unknown place":     {Trust: trust, Algorithms: []string{HS256}, From: []Lookup{{"body", "t"}}},
		"no name":           {Trust: trust, Algorithms: []string{HS256}, From: []Lookup{{InQuery, ""}}},
		"much leeway":       {Trust: trust, Algorithms: []string{HS256}, Leeway: time.Hour},
	} {
		if _, err := NewJWT(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	j := must(NewJWT(JWTConfig{Trust: trust, Algorithms: []string{HS256}}))
	if _, err := j.Verify(context.Background(), Request{URI: "https://h/"}); err == nil || ReasonOf(err) != "" {
		t.Errorf("a request without time: %v", err)
	}
	if _, err := json.Marshal(Refusal{}); err != nil {
		t.Error(err)
	}
}
