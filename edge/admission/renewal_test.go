package admission

import (
	"encoding/json"
	"net/http"
	"testing"

	"github.com/viewmesh/viewmesh/tokens"
)

// TestRenewalInRedirect: a token that asks for it is renewed in the Location of a
// redirect, and nowhere else.
func TestRenewalInRedirect(t *testing.T) {
	renewal := &tokens.Renewal{Token: "new", Transport: tokens.TransportQuery, Name: "URISigningPackage"}
	for _, c := range []struct {
		status         int
		location, want string
	}{
		{302, "/b/index.m3u8", "http://h/b/index.m3u8?URISigningPackage=new"},
		{307, "https://other.example/x?v=1", "https://other.example/x?v=1&URISigningPackage=new"},
		{200, "", ""},
		{304, "/b", "/b"},
	} {
		h := http.Header{}
		if c.location != "" {
			h.Set("Location", c.location)
		}
		renew(h, renewal, "http://h/a/index.m3u8", c.status)
		if got := h.Get("Location"); got != c.want {
			t.Errorf("%d %s: %q, want %q", c.status, c.location, got, c.want)
		}
		if h.Get("Set-Cookie") != "" {
			t.Errorf("%d: a cookie", c.status)
		}
	}
	h := http.Header{"Cache-Control": {"public, max-age=60", "s-maxage=10, no-transform"}}
	keepPrivate(h)
	if b, _ := json.Marshal(h["Cache-Control"]); string(b) != `["private, max-age=60, no-transform"]` {
		t.Errorf("Cache-Control is %s", b)
	}
}
