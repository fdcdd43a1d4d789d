package tokens

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"
)

// rfcExamples are the key set and tokens of RFC 9246 appendix A.
type rfcExamples struct {
	Keys   json.RawMessage `json:"keys"`
	Simple struct{ URI, Token string }
	// Complex also has the two encrypted claims by themselves.
	Complex struct {
		URI, Token, Subject string
		ClientIP            string `json:"client_ip"`
	}
	Renewal struct{ URI, Token, Renewed string }
}

const rfcExpiry = 1646867369 // exp of every example

func loadRFC(t testing.TB) (rfcExamples, *KeySet) {
	t.Helper()
	var ex rfcExamples
	if err := json.Unmarshal(must(os.ReadFile("testdata/rfc9246.json")), &ex); err != nil {
		t.Fatal(err)
	}
	return ex, must(ParseKeySet(ex.Keys))
}

func unix(s int64) time.Time { return time.Unix(s, 0) }

// claimsOf reads a token's claims without checking anything.
func claimsOf(t testing.TB, token string) map[string]any {
	t.Helper()
	var claims map[string]any
	if err := json.Unmarshal(must(decodeB64(strings.Split(token, ".")[1])), &claims); err != nil {
		t.Fatal(err)
	}
	return claims
}

func TestRFCSimpleExample(t *testing.T) {
	ex, keys := loadRFC(t)
	u := must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: keys, Issuers: []string{"other", "uCDN Inc"}}}}))
	for _, c := range []struct {
		name string
		uri  string
		now  int64
		want Reason
	}{
		{"query style", ex.Simple.URI + "?URISigningPackage=" + ex.Simple.Token, rfcExpiry - 1, ""},
		{"path style", ex.Simple.URI + ";URISigningPackage=" + ex.Simple.Token, rfcExpiry - 1, ""},
		{"spelled otherwise, the same when normalized", "HTTP://CDNI.example:80/%66oo/./x/../bar?URISigningPackage=" + ex.Simple.Token, rfcExpiry - 1, ""},
		{"at its expiry, which is no leeway", ex.Simple.URI + "?URISigningPackage=" + ex.Simple.Token, rfcExpiry, ReasonExpired},
		{"another path", "http://cdni.example/foo/baz?URISigningPackage=" + ex.Simple.Token, rfcExpiry - 1, ReasonURI},
		{"another scheme", "https://cdni.example/foo/bar?URISigningPackage=" + ex.Simple.Token, rfcExpiry - 1, ReasonURI},
		{"a query besides", ex.Simple.URI + "?a=b&URISigningPackage=" + ex.Simple.Token, rfcExpiry - 1, ReasonURI},
		{"no token", ex.Simple.URI, rfcExpiry - 1, ReasonMissing},
		{"two tokens", ex.Simple.URI + ";URISigningPackage=" + ex.Simple.Token + "?URISigningPackage=" + ex.Simple.Token, rfcExpiry - 1, ReasonMalformedURI},
	} {
		e, err := u.Verify(context.Background(), Request{URI: c.uri, Time: unix(c.now)})
		if ReasonOf(err) != c.want {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if err == nil && (strings.Contains(e.URI, ex.Simple.Token) || e.Issuer != "uCDN Inc" || e.Expires.Unix() != rfcExpiry || e.Renewal != nil) {
			t.Errorf("%s: got %+v", c.name, e)
		}
	}
	strict := must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: keys, Issuers: []string{"csp"}}}}))
	if _, err := strict.Verify(context.Background(), Request{URI: ex.Simple.URI + "?URISigningPackage=" + ex.Simple.Token, Time: unix(rfcExpiry - 1)}); ReasonOf(err) != ReasonIssuer {
		t.Errorf("unknown issuer: got %v", err)
	}
	if container := must(HashContainer(ex.Simple.URI)); container != claimsOf(t, ex.Simple.Token)["cdniuc"] {
		t.Errorf("hash container: got %q", container)
	}
}

func TestRFCComplexExample(t *testing.T) {
	ex, keys := loadRFC(t)
	if ip, sub := must(decryptClaim(keys, ex.Complex.ClientIP)), must(decryptClaim(keys, ex.Complex.Subject)); ip != "[2001:db8::1/32]" || sub != "UserToken" {
		t.Errorf("decrypted claims are %q and %q", ip, sub)
	}
	good := URISigningConfig{
		Trust: []Trust{{Keys: keys}}, Audience: []string{"dCDN LLC"}, Decrypt: keys, Required: []string{"exp", "sub"},
	}
	const inside = "2001:db8:7::9"
	for _, c := range []struct {
		name     string
		change   func(*URISigningConfig, *Request)
		requests int // times it is asked, default once
		want     Reason
	}{
		{name: "good"},
		{name: "same content again", requests: 2, want: ReasonReplayed},
		{name: "no replay store", change: func(c *URISigningConfig, _ *Request) { c.Replay = nil }, want: ReasonReplayStore},
		{name: "outside the prefix", change: func(_ *URISigningConfig, r *Request) { r.ClientIP = netip.MustParseAddr("2001:db9::1") }, want: ReasonClientIP},
		{name: "IPv4 client", change: func(_ *URISigningConfig, r *Request) { r.ClientIP = netip.MustParseAddr("192.0.2.1") }, want: ReasonClientIP},
		{name: "unknown client", change: func(_ *URISigningConfig, r *Request) { r.ClientIP = netip.Addr{} }, want: ReasonClientIP},
		{name: "no key for the address", change: func(c *URISigningConfig, _ *Request) { c.Decrypt = nil }, want: ReasonClientIP},
		{name: "other audience", change: func(c *URISigningConfig, _ *Request) { c.Audience = []string{"dCDN"} }, want: ReasonAudience},
		{name: "no audience configured", change: func(c *URISigningConfig, _ *Request) { c.Audience = nil }, want: ReasonAudience},
		{name: "a second before nbf", change: func(_ *URISigningConfig, r *Request) { r.Time = unix(1646780968) }, want: ReasonNotYetValid},
		{name: "at nbf", change: func(_ *URISigningConfig, r *Request) { r.Time = unix(1646780969) }},
		{name: "other file", change: func(_ *URISigningConfig, r *Request) { r.URI = strings.Replace(r.URI, "123", "12", 1) }, want: ReasonURI},
		{name: "a claim more required", change: func(c *URISigningConfig, _ *Request) { c.Required = []string{"cdnistt"} }, want: ReasonRenewal},
		{name: "the algorithm not allowed", change: func(c *URISigningConfig, _ *Request) { c.Algorithms = []string{EdDSA, RS256} }, want: ReasonAlgorithm},
	} {
		t.Run(c.name, func(t *testing.T) {
			config := good
			config.Replay = NewReplayMemory(10)
			r := Request{
				URI: ex.Complex.URI + "?URISigningPackage=" + ex.Complex.Token, Time: unix(rfcExpiry - 1),
				ClientIP: netip.MustParseAddr(inside),
			}
			if c.change != nil {
				c.change(&config, &r)
			}
			u := must(NewURISigning(config))
			for range max(c.requests-1, 0) {
				if _, err := u.Verify(context.Background(), r); err != nil {
					t.Fatalf("first request: %v", err)
				}
			}
			e, err := u.Verify(context.Background(), r)
			if ReasonOf(err) != c.want {
				t.Errorf("got %v, want %q", err, c.want)
			}
			if err == nil && (e.Subject != "UserToken" || e.Grant.Scope() != nil) {
				t.Errorf("got subject %q, scope %v", e.Subject, e.Grant.Scope())
			}
		})
	}
}

// A request that is refused for another reason does not use up a one-time token,
// and the token is good once for each content.
func TestReplayIsPerContentAndCheckedLast(t *testing.T) {
	ex, keys := loadRFC(t)
	u := must(NewURISigning(URISigningConfig{
		Trust: []Trust{{Keys: keys}}, Audience: []string{"dCDN LLC"}, Decrypt: keys, Replay: NewReplayMemory(10),
	}))
	ask := func(file, ip string) Reason {
		_, err := u.Verify(context.Background(), Request{
			URI:  "http://cdni.example/foo/bar/" + file + ".png?URISigningPackage=" + ex.Complex.Token,
			Time: unix(rfcExpiry - 1), ClientIP: netip.MustParseAddr(ip),
		})
		return ReasonOf(err)
	}
	for i, step := range []struct {
		file, ip string
		want     Reason
	}{
		{"001", "192.0.2.1", ReasonClientIP}, {"001", "2001:db8::5", ""}, {"001", "2001:db8::5", ReasonReplayed},
		{"002", "2001:db8::5", ""}, {"%30%302", "2001:db8::5", ReasonReplayed},
		{"/002", "2001:db8::5", ReasonURI}, {"x/../002", "2001:db8::5", ReasonReplayed},
	} {
		if got := ask(step.file, step.ip); got != step.want {
			t.Errorf("step %d: got %q, want %q", i, got, step.want)
		}
	}
}

func TestRFCRenewalExample(t *testing.T) {
	ex, keys := loadRFC(t)
	u := must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: keys}}, Signer: must(NewSigner(keys, ""))}))
	ctx := context.Background()
	now := unix(rfcExpiry - 5).Add(700 * time.Millisecond)
	e, err := u.Verify(ctx, Request{URI: ex.Renewal.URI + "?URISigningPackage=" + ex.Renewal.Token, Time: now})
	if err != nil {
		t.Fatal(err)
	}
	r := e.Renewal
	if r == nil || r.Transport != TransportCookie || r.Path != "/foo/bar" || r.Expires.Unix() != rfcExpiry-5+30 {
		t.Fatalf("got renewal %+v", r)
	}
	want := claimsOf(t, ex.Renewal.Renewed) // the RFC's, but for the time
	want["exp"] = float64(rfcExpiry - 5 + 30)
	if got := claimsOf(t, r.Token); must2(json.Marshal(got)) != must2(json.Marshal(want)) {
		t.Errorf("renewed claims are %v, want %v", got, want)
	}
	if got, want := r.SetCookie(), "URISigningPackage="+r.Token+"; Path=/foo/bar; Max-Age=30; HttpOnly; SameSite=Lax"; got != want {
		t.Errorf("cookie is %q, want %q", got, want)
	}
	if r.RedirectURI("http://a/") != "http://a/" {
		t.Error("a cookie renewal changes a redirect")
	}

	// The cookie is good for the next segment, past the first token's end, also
	// beside the old token in the URI; and so is the RFC's own renewal.
	later := unix(rfcExpiry + 10)
	for name, token := range map[string]string{"ours": r.Token, "the RFC's": ex.Renewal.Renewed} {
		for _, uri := range []string{"http://cdni.example/foo/bar/002.ts", "http://cdni.example/foo/bar/002.ts?URISigningPackage=" + ex.Renewal.Token} {
			next, err := u.Verify(ctx, Request{URI: uri, Time: later, Header: map[string][]string{"Cookie": {"a=b; URISigningPackage=" + token}}})
			if err != nil || next.Renewal == nil || next.URI != "http://cdni.example/foo/bar/002.ts" {
				t.Errorf("%s: got %+v, %v", name, next, err)
			}
		}
	}
	// A later request of a remembered token renews for longer; one in the same
	// second gets the same token.
	at := func(second int64) *Renewal {
		e, err := u.Verify(ctx, Request{URI: ex.Renewal.URI + "?URISigningPackage=" + ex.Renewal.Token, Time: unix(second)})
		if err != nil {
			t.Fatal(err)
		}
		return e.Renewal
	}
	one, same, next := at(rfcExpiry-4), at(rfcExpiry-4), at(rfcExpiry-3)
	if one.Token != same.Token || next.Token == one.Token || claimsOf(t, next.Token)["exp"] != float64(rfcExpiry-3+30) {
		t.Errorf("renewals at 4, 4 and 3 s before the end: %+v %+v %+v", one, same, next)
	}
	// A path with fewer segments than cdnistd is served and not renewed.
	two := newTestSite(t)
	short, err := two.verify(t, "https://v.example/a.ts", map[string]any{"exp": 200, "cdniets": 30, "cdnistt": 1, "cdnistd": 2, "cdniuc": "regex:.*"}, unix(100))
	if err != nil || short.Renewal != nil {
		t.Errorf("a short path: got %+v, %v", short.Renewal, err)
	}
}

func must2(raw []byte, err error) string { return string(must(raw, err)) }

// testSite is a URI Signing site with an Ed25519 key of its own.
type testSite struct {
	keys    *KeySet
	signer  *Signer
	config  URISigningConfig
	lastURI string
}

const testKeys = `{"keys":[
	{"kty":"OKP","crv":"Ed25519","kid":"k1","alg":"EdDSA","use":"sig","x":"iojj3XQJ8ZX9UtstPLpdcspnCb8dlBIb83SIAbQPb1w","d":"AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE"},
	{"kty":"oct","kid":"e1","use":"enc","alg":"A256GCM","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}`

func newTestSite(t testing.TB) *testSite {
	t.Helper()
	keys := must(ParseKeySet([]byte(testKeys)))
	signer := must(NewSigner(keys, "k1"))
	return &testSite{keys: keys, signer: signer, config: URISigningConfig{
		Trust: []Trust{{Keys: keys}}, Decrypt: keys, Signer: signer, Replay: NewReplayMemory(10),
		Extensions: map[string]func([]byte, Request) error{"tier": func(value []byte, _ Request) error {
			if string(value) != `"gold"` {
				return errors.New("not gold")
			}
			return nil
		}, "any": func([]byte, Request) error { return nil }},
	}}
}

func (s *testSite) verify(t testing.TB, uri string, claims map[string]any, now time.Time) (Entitlement, error) {
	t.Helper()
	token := must(s.signer.Sign(claims))
	s.lastURI = AddToQuery(uri, DefaultAttribute, token)
	u := must(NewURISigning(s.config))
	return u.Verify(context.Background(), Request{URI: s.lastURI, Time: now, ClientIP: netip.MustParseAddr("192.0.2.77")})
}

func TestURISigningClaims(t *testing.T) {
	site := newTestSite(t)
	const uri = "https://v.example/live/a.m4s"
	seal := func(text string) string { return must(EncryptClaim(site.keys, "", text)) }
	for _, c := range []struct {
		name   string
		change map[string]any // over exp 200, cdniuc regex:.*
		want   Reason
		code   string
	}{
		{"good", nil, "", ""},
		{"no exp at all", map[string]any{"exp": nil}, "", ""},
		{"exp in a fraction of a second", map[string]any{"exp": 100.25}, "", ""},
		{"exp is now", map[string]any{"exp": 100}, ReasonExpired, "404"},
		{"exp of another type", map[string]any{"exp": "200"}, ReasonMalformed, "500"},
		{"exp out of range", map[string]any{"exp": 1e300}, ReasonMalformed, "500"},
		{"nbf is now", map[string]any{"nbf": 100}, "", ""},
		{"nbf is later", map[string]any{"nbf": 100.5}, ReasonNotYetValid, "405"},
		{"iat of another type", map[string]any{"iat": []int{1}}, ReasonMalformed, "500"},
		{"version 1", map[string]any{"cdniv": 1}, "", ""},
		{"version 2", map[string]any{"cdniv": 2}, ReasonVersion, "408"},
		{"version as text", map[string]any{"cdniv": "1"}, ReasonVersion, "408"},
		{"critical claim that is understood", map[string]any{"cdnicrit": "tier", "tier": "gold"}, "", ""},
		{"critical claim that is not met", map[string]any{"cdnicrit": "tier", "tier": "tin"}, ReasonCritical, "409"},
		{"critical claim that is not there", map[string]any{"cdnicrit": "any"}, ReasonCritical, "409"},
		{"critical claim that is unknown", map[string]any{"cdnicrit": "tier,geo", "tier": "gold", "geo": 1}, ReasonCritical, "409"},
		{"critical claim twice", map[string]any{"cdnicrit": "tier,tier", "tier": "gold"}, ReasonCritical, "409"},
		{"critical claim of the RFC", map[string]any{"cdnicrit": "exp"}, ReasonCritical, "409"},
		{"critical list empty", map[string]any{"cdnicrit": ""}, ReasonCritical, "409"},
		{"unknown claim that is not critical", map[string]any{"geo": 1}, "", ""},
		{"subject encrypted", map[string]any{"sub": seal("viewer 7")}, "", ""},
		{"subject in the clear", map[string]any{"sub": "viewer 7"}, ReasonSubject, "402"},
		{"subject for another key", map[string]any{"sub": "eyJlbmMiOiJBMTI4R0NNIiwiYWxnIjoiZGlyIiwia2lkIjoiZi1XYmp4QkMzZFB1STNkMjRrUDJoZnZvczdRejY4OFVUaTZhQjBoTjk5OCJ9..CLAu80xclc8Bp-Ui.6P1A3F6ip2Dv.CohdtLLpgBnTvRJQCFuz-g"}, ReasonSubject, "402"},
		{"address", map[string]any{"cdniip": seal("192.0.2.77")}, "", ""},
		{"address with host bits in a prefix", map[string]any{"cdniip": seal("192.0.2.1/24")}, "", ""},
		{"address mapped", map[string]any{"cdniip": seal("::ffff:192.0.2.0/120")}, "", ""},
		{"address of another", map[string]any{"cdniip": seal("192.0.2.78")}, ReasonClientIP, "410"},
		{"address in the clear", map[string]any{"cdniip": "192.0.2.77"}, ReasonClientIP, "410"},
		{"address that is none", map[string]any{"cdniip": seal("everyone")}, ReasonClientIP, "410"},
		{"address with a zone", map[string]any{"cdniip": seal("fe80::1%eth0")}, ReasonClientIP, "410"},
		{"renewal off", map[string]any{"cdnistt": 0, "cdniets": 30}, "", ""},
		{"cdnistt alone", map[string]any{"cdnistt": 1}, ReasonRenewal, "406"},
		{"cdniets alone", map[string]any{"cdniets": 30}, ReasonRenewal, "406"},
		{"cdnistt 3", map[string]any{"cdnistt": 3, "cdniets": 30}, ReasonRenewal, "406"},
		{"cdnistt a fraction", map[string]any{"cdnistt": 1.5, "cdniets": 30}, ReasonRenewal, "406"},
		{"cdniets negative", map[string]any{"cdnistt": 1, "cdniets": -1}, ReasonRenewal, "406"},
		{"cdniets as text", map[string]any{"cdnistt": 0, "cdniets": "30"}, ReasonRenewal, "406"},
		{"cdnistd negative", map[string]any{"cdnistd": -1}, ReasonRenewal, "406"},
		{"no container", map[string]any{"cdniuc": nil}, ReasonURI, "411"},
		{"container of no known form", map[string]any{"cdniuc": "prefix:https://v.example/"}, ReasonURI, "411"},
		{"container not text", map[string]any{"cdniuc": []string{"regex:.*"}}, ReasonURI, "411"},
		{"audience nobody configured", map[string]any{"aud": "us"}, ReasonAudience, "403"},
		{"jti", map[string]any{"jti": "one"}, "", ""},
		{"jti not text", map[string]any{"jti": 1}, ReasonMalformed, "500"},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			claims := map[string]any{"exp": 200, "cdniuc": "regex:.*"}
			for name, value := range c.change {
				if claims[name] = value; value == nil {
					delete(claims, name)
				}
			}
			e, err := site.verify(t, uri, claims, unix(100))
			if ReasonOf(err) != c.want || (err == nil) != (c.want == "") {
				t.Fatalf("got %v, want %q", err, c.want)
			}
			var refusal *Refusal
			if errors.As(err, &refusal) {
				if refusal.Status != 403 || refusal.Reason.URISigningCode() != c.code {
					t.Errorf("status %d, code %s, want 403, %s", refusal.Status, refusal.Reason.URISigningCode(), c.code)
				}
				if strings.Contains(err.Error(), "eyJ") {
					t.Errorf("the refusal shows the token: %v", err)
				}
			} else if e.URI != uri {
				t.Errorf("URI without token is %q", e.URI)
			}
		})
	}
}

func TestRenewalInQueryCarriesClaimsOver(t *testing.T) {
	site := newTestSite(t)
	site.signer.Issuer = "edge"
	site.config.Attribute = "usp"
	claims := map[string]any{
		"iss": "csp", "iat": 50, "nbf": 60, "exp": 200, "jti": "once", "cdniv": 1, "geo": map[string]any{"zone": "<eu>"},
		"sub": must(EncryptClaim(site.keys, "e1", "viewer")), "cdniets": 20.5, "cdnistt": 2, "cdnistd": 1, "cdniuc": `regex:https?://[^/]*/live/.*`,
	}
	u := must(NewURISigning(site.config))
	r := Request{URI: AddToPath("https://v.example/live/a.m4s?x=1", "usp", must(site.signer.Sign(claims))), Time: unix(100)}
	e, err := u.Verify(context.Background(), r)
	if err != nil {
		t.Fatal(err)
	}
	if e.Renewal == nil || e.Renewal.Transport != TransportQuery || e.Renewal.SetCookie() != "" || e.Renewal.Expires.Unix() != 120 {
		t.Fatalf("got %+v", e.Renewal)
	}
	target := e.Renewal.RedirectURI("https://other.example/live/a.m4s?x=1")
	if want := "https://other.example/live/a.m4s?x=1&usp=" + e.Renewal.Token; target != want {
		t.Errorf("redirect goes to %q, want %q", target, want)
	}
	claims["exp"], claims["iat"], claims["iss"] = 120, 100, "edge"
	if got, want := must2(json.Marshal(claimsOf(t, e.Renewal.Token))), must2(json.Marshal(claims)); got != want {
		t.Errorf("renewed claims:\n%s\nwant\n%s", got, want)
	}
	again, err := u.Verify(context.Background(), Request{URI: target, Time: unix(110)})
	if err != nil || again.URI != "https://other.example/live/a.m4s?x=1" || again.Subject != "viewer" {
		t.Errorf("the renewed token: got %+v, %v", again, err)
	}
}

// A renewal that cannot be signed does not cost the viewer the segment.
func TestFailedRenewalAdmitsAllTheSame(t *testing.T) {
	site := newTestSite(t)
	site.signer.Issuer = strings.Repeat("e", MaxViewerTokenSize)
	e, err := site.verify(t, "https://v.example/a", map[string]any{"iss": "csp", "exp": 200, "cdniets": 30, "cdnistt": 1, "cdniuc": "regex:.*"}, unix(100))
	if err != nil || e.Renewal != nil || e.RenewalErr == nil {
		t.Errorf("got %+v, %v", e, err)
	}
}

func TestRenewalCookieAttributes(t *testing.T) {
	site := newTestSite(t)
	site.config.Cookie, site.config.CookieDomain = "mesh_view", "example"
	e, err := site.verify(t, "https://v.example/a;v=1/b/c.m4s", map[string]any{"exp": 200, "cdniets": 30, "cdnistt": 1, "cdnistd": 2, "cdniuc": "regex:.*"}, unix(100))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := e.Renewal.SetCookie(), "mesh_view="+e.Renewal.Token+"; Path=/; Domain=example; Max-Age=30; HttpOnly; Secure; SameSite=None"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for _, c := range []struct {
		path  string
		depth int64
		want  string
		ok    bool
	}{
		{"/", 0, "/", true}, {"/a/b/c.ts", 0, "/", true}, {"/a/b/c.ts", 1, "/a", true}, {"/a/b/c.ts", 3, "/a/b/c.ts", true},
		{"/a/b/c.ts", 4, "", false}, {"/a/b/", 2, "/a/b", true}, {"/a/b/", 3, "", false}, {"/", 1, "", false},
		{"/a/b;v=1/c/d", 3, "/a", true}, {"/a", 1 << 62, "", false},
	} {
		if got, ok := leadingSegments(c.path, c.depth); got != c.want || ok != c.ok {
			t.Errorf("leadingSegments(%q, %d) = %q, %v, want %q, %v", c.path, c.depth, got, ok, c.want, c.ok)
		}
	}
}

func TestTokenHeaderFromConfiguration(t *testing.T) {
	ex, keys := loadRFC(t)
	header, short, _ := strings.Cut(ex.Simple.Token, ".")
	r := Request{URI: ex.Simple.URI + "?URISigningPackage=" + short, Time: unix(rfcExpiry - 1)}
	with := must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: keys}}, Header: header}))
	for range 2 { // the second time from memory
		if _, err := with.Verify(context.Background(), r); err != nil {
			t.Error(err)
		}
	}
	without := must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: keys}}}))
	if _, err := without.Verify(context.Background(), r); ReasonOf(err) != ReasonMalformed {
		t.Errorf("without the header configured: got %v", err)
	}
}

func TestTokenGivenApartFromTheURI(t *testing.T) {
	ex, keys := loadRFC(t)
	u := must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: keys}}}))
	e, err := u.Verify(context.Background(), Request{URI: "http://cdni.example/foo/bar/001.ts", Token: ex.Renewal.Token, Time: unix(rfcExpiry - 1)})
	if err != nil {
		t.Fatal(err)
	}
	if !e.Grant.Allows("http://cdni.example/foo/bar/999.ts") || e.Grant.Allows("http://cdni.example/foo/bar/x.ts") || e.Grant.Allows("nonsense") {
		t.Error("the grant allows other URIs than the token does")
	}
	_, err = u.Verify(context.Background(), Request{URI: "http://cdni.example/foo/bar", Token: ex.Renewal.Token, Time: unix(rfcExpiry - 1),
		Header: map[string][]string{"Cookie": {"URISigningPackage=" + ex.Simple.Token}}})
	if ReasonOf(err) != ReasonURI {
		t.Errorf("a cookie was taken beside the token given: %v", err)
	}
}

// swapKeys is a KeySource whose set a test exchanges, as a reload does.
type swapKeys struct {
	set *KeySet
	err error
}

func (s *swapKeys) Keys(context.Context, string) (*KeySet, error) { return s.set, s.err }

func TestRemovedKeyIsRefusedAtOnceThoughRemembered(t *testing.T) {
	site := newTestSite(t)
	source := &swapKeys{set: site.keys}
	u := must(NewURISigning(URISigningConfig{Trust: []Trust{{Keys: source}}}))
	token := must(site.signer.Sign(map[string]any{"exp": 200, "cdniuc": "regex:.*"}))
	r := Request{URI: AddToQuery("https://v.example/a", DefaultAttribute, token), Time: unix(100)}
	verify := func() Reason { _, err := u.Verify(context.Background(), r); return ReasonOf(err) }
	if got := verify(); got != "" || u.remember.Len() != 1 {
		t.Fatalf("first: %q, %d remembered", got, u.remember.Len())
	}
	_, rfc := loadRFC(t)
	source.set = rfc
	if got := verify(); got != ReasonUnknownKey || u.remember.Len() != 0 {
		t.Errorf("with the key removed: %q, %d remembered", got, u.remember.Len())
	}
	source.set = must(ParseKeySet([]byte(testKeys)))
	if got := verify(); got != "" {
		t.Errorf("with the key back: %q", got)
	}
	source.set, source.err = nil, ErrKeysUnavailable
	if _, err := u.Verify(context.Background(), r); ReasonOf(err) != ReasonKeysUnavailable || err.(*Refusal).Status != 503 {
		t.Errorf("without keys: %v", err)
	}
}

func TestURISigningConfigIsChecked(t *testing.T) {
	_, keys := loadRFC(t)
	trust := []Trust{{Keys: keys}}
	for name, config := range map[string]URISigningConfig{
		"nobody to trust":    {},
		"no key source":      {Trust: []Trust{{}}},
		"unknown algorithm":  {Trust: trust, Algorithms: []string{"none"}},
		"bad attribute":      {Trust: trust, Attribute: "a b"},
		"bad cookie":         {Trust: trust, Cookie: "a;b"},
		"bad header":         {Trust: trust, Header: "{}"},
		"bad cookie domain":  {Trust: trust, CookieDomain: "a; Path=/"},
		"bad same-site":      {Trust: trust, CookieSameSite: "none"},
		"RFC claim extended": {Trust: trust, Extensions: map[string]func([]byte, Request) error{"exp": nil}},
	} {
		if _, err := NewURISigning(config); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	u := must(NewURISigning(URISigningConfig{Trust: trust}))
	if _, err := u.Verify(context.Background(), Request{URI: "http://a/"}); err == nil || ReasonOf(err) != "" {
		t.Errorf("a request without time: %v", err)
	}
}
