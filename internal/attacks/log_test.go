package attacks

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/internal/caddytest"
	"github.com/viewmesh/viewmesh/internal/freeport"
)

// TestLogFilter: with the filter that docs/security.md gives, no viewer token is in Caddy's
// access log, wherever the viewer has it.
func TestLogFilter(t *testing.T) {
	doc, err := os.ReadFile("../../docs/security.md")
	if err != nil {
		t.Fatal(err)
	}
	_, filter, ok := strings.Cut(string(doc), "\nlog {\n")
	filter, _, ok2 := strings.Cut(filter, "\n```")
	if !ok || !ok2 {
		t.Fatal("the document gives no filter")
	}
	s := newStreams(t)
	_, directives := signed(s)
	s.base = "http://" + freeport.Addr(t)
	file := filepath.Join(t.TempDir(), "access")
	caddytest.Start(t, fmt.Sprintf("{\n%s\nmesh {\n stun off\n }\n}\n%s {\n%s\nlog {\n output file %s\n%s\n}\n",
		caddytest.Options(t), s.base, directives, file, filter))
	const secret = "eyJhbGciOiJFZERTQSJ9.eyJzZWNyZXQiOjF9.c2lnbmF0dXJl"
	for _, path := range []string{
		"/film/0.ts?URISigningPackage=" + secret, "/film/0.ts?x=1&URISigningPackage=" + secret + "&y=2",
		"/film;URISigningPackage=" + secret + "/0.ts", "/film/0.ts;URISigningPackage=" + secret, "/URISigningPackage=" + secret + "/film/0.ts",
	} {
		ask.Do(t, s.client(""), "GET", s.base+path, "", "Referer", s.base+path, "Cookie", "URISigningPackage="+secret, "Authorization", "Bearer "+secret)
	}
	var log []byte
	for deadline := time.Now().Add(10 * time.Second); strings.Count(string(log), "\n") < 5 && time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		log, _ = os.ReadFile(file)
	}
	if n := strings.Count(string(log), "REDACTED"); n < 10 || strings.Contains(string(log), "eyJ") || strings.Contains(string(log), "c2lnbmF0dXJl") {
		t.Errorf("%d redactions in %s", n, log)
	}
}
