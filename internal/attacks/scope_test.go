package attacks

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/internal/ask"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// TestScope: whatever URIs a token allows, peers that see the pass of its session give
// no path that the edge refuses with the token. Where no pass can say it, there is no
// session, and a metric says why.
func TestScope(t *testing.T) {
	s := newStreams(t)
	signer, directives := signed(s)
	s.base = run(t, directives+"\n metrics /metrics")[0]
	h := strings.ReplaceAll(s.base, ".", `\.`)
	open := 0
	for _, c := range []struct {
		container string
		scope     string // of the pass, "" for no session
	}{
		{h + `/film/.*`, "/film/"},
		{h + `/film/[^?]*(\?.*)?`, "/film/"},
		{h + `/(film|other)/.*`, "/film/ /other/"},
		{`.*`, "/"},
		{h + `/film/(index\.m3u8|0\.ts)`, ""},
		{h + `/film/(index\.m3u8|[0-5]\.ts)`, ""},
		{h + `/film/(index\.m3u8|low/index\.m3u8)`, ""},
		{h + `/film/(index\.m3u8|1.*\.ts)`, ""},
		{h + `/film/(index\.m3u8|sd_.*)`, ""},
		{h + `/film/(index\.m3u8|sd/.*)`, "/film/sd/"},
		{h + `/film/index.*`, ""},
		{h + `/film/(index\.m3u8|0\.ts.*)`, ""},
		{h + `/film/index\.m3u8|` + h + `/other/.*`, ""},
	} {
		token, err := signer.Sign(map[string]any{"exp": time.Now().Add(time.Hour).Unix(), "cdniuc": "regex:" + c.container})
		if err != nil {
			t.Fatal(err)
		}
		client := s.client("")
		b, err := bootstrapOf(client, s.base+"/film/index.m3u8?URISigningPackage="+token)
		if err != nil {
			t.Fatal(err)
		}
		session, err := edge.Open(t.Context(), client, b, signal.SessionRequest{Token: token})
		if c.scope == "" {
			if err == nil || !strings.Contains(err.Error(), "token_scope") {
				t.Errorf("%s opens a session, or none for another reason: %v", c.container, err)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", c.container, err)
			continue
		}
		open++
		pass, err := session.Verifier.VerifyPass(session.Pass, session.Now())
		if err != nil || strings.Join(pass.Scope, " ") != c.scope {
			t.Errorf("%s: scope %q, want %q: %v", c.container, pass.Scope, c.scope, err)
		}
		reaches(t, s, client, token, pass)
	}
	_, metrics := ask.Do(t, s.client(""), "GET", s.base+"/metrics", "")
	if want := fmt.Sprintf(`mesh_viewer_tokens_total{outcome="refused",reason="scope"} %d`, 13-open); !strings.Contains(metrics, want) {
		t.Errorf("the metrics do not have %s", want)
	}
}

// reaches holds what a pass covers to what the edge serves for the viewer's token.
func reaches(t *testing.T, s *site, client *http.Client, token string, pass tokens.Pass) {
	t.Helper()
	for _, stream := range []string{"film", "other"} {
		for i := range 12 {
			path := fmt.Sprintf("/%s/%d.ts", stream, i)
			resp, _ := ask.Do(t, client, "GET", s.base+path+"?URISigningPackage="+token, "")
			if pass.Covers(path) && resp.StatusCode != http.StatusOK {
				t.Errorf("a pass for %q covers %s, for which the edge answers %d", pass.Scope, path, resp.StatusCode)
			}
		}
	}
}
