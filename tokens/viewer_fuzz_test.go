package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"strings"
	"testing"
)

// checkVerdict holds a viewer to its contract for whatever a request holds: an
// entitlement without the token in its URI, or a refusal without the token.
func checkVerdict(t *testing.T, e Entitlement, err error, token string) {
	t.Helper()
	var refusal *Refusal
	switch {
	case err == nil:
		if len(token) > 20 && strings.Contains(e.URI, token) {
			t.Fatalf("the URI still holds the token: %q", e.URI)
		}
		e.Grant.Scope()
	case !errors.As(err, &refusal):
		t.Fatalf("neither admitted nor refused: %v", err)
	case refusal.Reason == "" || refusal.Status < 401:
		t.Fatalf("a refusal without reason or status: %+v", refusal)
	case len(token) > 20 && strings.Contains(err.Error(), token):
		t.Fatalf("the refusal shows the token: %v", err)
	}
}

func FuzzURISigningRequest(f *testing.F) {
	ex, keys := loadRFC(f)
	for _, uri := range []string{ex.Simple.URI, ex.Complex.URI, ex.Renewal.URI} {
		for _, token := range []string{ex.Simple.Token, ex.Complex.Token, ex.Renewal.Token} {
			f.Add(AddToQuery(uri, DefaultAttribute, token), "")
			f.Add(AddToPath(uri, DefaultAttribute, token), DefaultAttribute+"="+token)
		}
	}
	f.Fuzz(func(t *testing.T, uri, cookie string) {
		u := must(NewURISigning(URISigningConfig{
			Trust: []Trust{{Keys: keys}}, Audience: []string{"dCDN LLC"}, Decrypt: keys, Replay: NewReplayMemory(2), Signer: must(NewSigner(keys, "")),
		}))
		token, _, _ := cutToken(uri, DefaultAttribute, pathParameter, formParameter)
		e, err := u.Verify(context.Background(), Request{
			URI: uri, Header: map[string][]string{"Cookie": {cookie}}, Time: unix(rfcExpiry - 1), ClientIP: netip.MustParseAddr("2001:db8::1"),
		})
		checkVerdict(t, e, err, token)
		if err == nil {
			if _, nerr := normalizeURI(e.URI); nerr != nil {
				t.Fatalf("admitted with a URI that is none: %q", e.URI)
			}
		}
	})
}

// Claims behind a good signature, and the renewal they ask for.
func FuzzURISigningClaims(f *testing.F) {
	ex, _ := loadRFC(f)
	for _, token := range []string{ex.Simple.Token, ex.Complex.Token, ex.Renewal.Token} {
		f.Add(must(decodeB64(strings.Split(token, ".")[1])))
	}
	f.Add([]byte(`{"cdniuc":"regex:.*","cdnistt":2,"cdniets":1,"cdnistd":1,"jti":"x","cdnicrit":"tier","tier":"gold","iat":1}`))
	site := newTestSite(f)
	f.Fuzz(func(t *testing.T, claims []byte) {
		if !json.Valid(claims) {
			return
		}
		token, err := site.signer.Sign(json.RawMessage(claims))
		if err != nil {
			return
		}
		u := must(NewURISigning(site.config))
		r := Request{URI: "https://v.example/live/a.m4s", Token: token, Time: unix(rfcExpiry - 1), ClientIP: netip.MustParseAddr("192.0.2.1")}
		e, err := u.Verify(context.Background(), r)
		checkVerdict(t, e, err, token)
		if err != nil || e.Renewal == nil {
			return
		}
		if strings.ContainsAny(e.Renewal.SetCookie(), "\r\n") {
			t.Fatalf("the cookie breaks the line: %q", e.Renewal.SetCookie())
		}
		r.Token = e.Renewal.Token
		if _, err := u.Verify(context.Background(), r); err != nil && ReasonOf(err) != ReasonReplayed {
			t.Fatalf("the renewed token is refused: %v", err)
		}
	})
}

func FuzzJWT(f *testing.F) {
	f.Add([]byte(`{"exp":1646867369,"sub":"v","paths":["/live/*"],"aud":["a"]}`), "https://h/live/a?t=x", "Bearer x")
	keys := must(SecretKeySet(make([]byte, 32), ""))
	signer := must(NewSigner(keys, ""))
	j := must(NewJWT(JWTConfig{
		Trust: []Trust{{Keys: keys}}, Algorithms: []string{HS256}, PathsClaim: "paths", Audience: []string{"a"},
		From: []Lookup{{InHeader, "Authorization"}, {InQuery, "t"}, {InPath, "t"}, {InCookie, "t"}}, Remember: 8,
	}))
	f.Fuzz(func(t *testing.T, claims []byte, uri, header string) {
		r := Request{URI: uri, Header: map[string][]string{"Authorization": {header}, "Cookie": {header}}, Time: unix(1646867368)}
		e, err := j.Verify(context.Background(), r)
		checkVerdict(t, e, err, "")
		if !json.Valid(claims) {
			return
		}
		if r.Token, err = signer.Sign(json.RawMessage(claims)); err == nil {
			e, err = j.Verify(context.Background(), r)
			checkVerdict(t, e, err, r.Token)
		}
	})
}

func FuzzNormalizeURI(f *testing.F) {
	f.Add("HTTP://H:80/a/%2e%2E/%7e;x?y=%aa")
	f.Fuzz(func(t *testing.T, uri string) {
		n, err := normalizeURI(uri)
		if err != nil {
			return
		}
		again, err := normalizeURI(n.text)
		if err != nil || again != n {
			t.Fatalf("%q is %q, and that is %q, %v", uri, n.text, again.text, err)
		}
		if !strings.HasPrefix(n.path, "/") || strings.Contains(n.path+"/", "/../") || strings.Contains(n.path+"/", "/./") {
			t.Fatalf("%q has path %q", uri, n.path)
		}
	})
}

func FuzzContainer(f *testing.F) {
	f.Add(`regex:[^:]*\://[^/]*/folder/quality_[^/]*/segment.{3}\.mp4(\?.*)?`, "https://h/folder/quality_1/segment001.mp4")
	f.Add(`regex:https?://(h|x)/a(/b)?/([^?]*)(\\?(.*))?$`, "https://h/a/b")
	f.Add("hash:sha-256;2tderfWPa86Ku7YnzW51YUp7dGUjBS_3SW3ELx4hmWY", "http://cdni.example/foo/bar")
	f.Fuzz(func(t *testing.T, claim, uri string) {
		c, err := parseContainer(claim)
		if err != nil {
			return
		}
		n, err := normalizeURI(uri)
		if err != nil || !c.matches(n) {
			return
		}
		// A pass never reaches further than the token.
		if n.site == "https://h" {
			checkScope(t, c, containerGrant{c, n.site, n.path}.Scope())
		}
	})
}

func FuzzViewerKeySet(f *testing.F) {
	ex, _ := loadRFC(f)
	f.Add([]byte(ex.Keys))
	f.Add([]byte(testKeys))
	f.Add(makeKeyPair(f, ES256).privatePEM)
	f.Add(makeKeyPair(f, EdDSA).publicPEM)
	f.Fuzz(func(t *testing.T, raw []byte) {
		set, err := ParseKeySet(raw)
		if err != nil {
			if !errors.Is(err, ErrBadKeys) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		_, _ = NewSigner(set, "")
		_, _ = EncryptClaim(set, "", "text")
	})
}
