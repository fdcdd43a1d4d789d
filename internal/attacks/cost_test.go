package attacks

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/ask"
)

// TestManyTokens: however many tokens a request carries, the edge looks at one of them, in
// the order that docs/security.md gives, and asks the issuer for its keys no more often.
func TestManyTokens(t *testing.T) {
	s := newStreams(t)
	signer, directives := signed(s)
	keys, err := os.ReadFile(s.dir + "/../csp.json")
	if err != nil {
		t.Fatal(err)
	}
	var fetches atomic.Int64
	issuer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fetches.Add(1)
		_, _ = w.Write(keys)
	}))
	t.Cleanup(issuer.Close)
	s.base = run(t, strings.Replace(directives, "jwks_file "+s.dir+"/../csp.json\n renew_file "+s.dir+"/../csp.json", "jwks_url "+issuer.URL+"\n jwks_allow_http", 1))[0]
	sign := func(n int, expires time.Duration) string {
		t.Helper()
		token, err := signer.Sign(map[string]any{"exp": time.Now().Add(expires).Unix(), "cdniuc": film(s), "n": n})
		if err != nil {
			t.Fatal(err)
		}
		return token
	}
	n := 0
	// forged has the signature of another token; unknown names a key that nobody has.
	forged := func() string {
		n += 2
		a, b := sign(n, time.Hour), sign(n+1, time.Hour)
		return part(t, a, 0) + "." + part(t, a, 1) + "." + part(t, b, 2)
	}
	unknown := func() string {
		n++
		header := fmt.Sprintf(`{"alg":"EdDSA","kid":"k%d"}`, n)
		a := sign(n, time.Hour)
		return base64.RawURLEncoding.EncodeToString([]byte(header)) + "." + part(t, a, 1) + "." + part(t, a, 2)
	}
	get := func(inURL string, cookies ...string) (status int, code string) {
		t.Helper()
		path := "/film/0.ts"
		if inURL != "" {
			path += "?URISigningPackage=" + inURL
		}
		for i := range cookies {
			cookies[i] = "URISigningPackage=" + cookies[i]
		}
		resp, body := ask.Do(t, s.client(""), "GET", s.base+path, "", "Cookie", strings.Join(cookies, "; "))
		return resp.StatusCode, codeOf(body)
	}
	good, renewed := sign(-1, time.Hour), sign(-2, time.Hour)
	if status, _ := get("", forged(), good); status != 403 {
		t.Errorf("a forged token, and then one that was never seen: %d; more than one was checked", status)
	}
	if status, _ := get("", sign(-3, -time.Minute), renewed); status != 200 {
		t.Errorf("an expired token, and then its renewal: %d", status)
	}
	if status, _ := get("", good); status != 200 {
		t.Errorf("a good token alone: %d", status)
	}
	for range 3 {
		if status, _ := get(forged(), forged(), forged(), good, forged()); status != 200 {
			t.Errorf("one that is known among forged ones: %d", status)
		}
	}
	for _, make := range []func() string{forged, unknown} {
		for range 20 {
			if status, code := get(make(), make(), make(), make(), make()); status != 403 {
				t.Errorf("five bad tokens: %d %s", status, code)
			}
		}
	}
	many := make([]string, 40)
	for i := range many {
		many[i] = forged()
	}
	if status, code := get("", many...); status != 403 {
		t.Errorf("%d bad tokens: %d %s", len(many), status, code)
	}
	if got := fetches.Load(); got > 2 {
		t.Errorf("the issuer was asked for its keys %d times", got)
	}
	before := cpu()
	const requests = 100
	for range requests {
		get(forged(), forged(), forged(), forged(), forged())
	}
	t.Logf("five forged tokens take %v of CPU a request, their making and the client's part included", (cpu()-before)/requests)
}

// cpu is the CPU time of this process.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
