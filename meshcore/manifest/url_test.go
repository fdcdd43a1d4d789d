package manifest_test

import (
	"net/url"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// TestURLs: how a segment's URI resolves, and whether it lies on the playlist's
// host.
func TestURLs(t *testing.T) {
	base, err := url.Parse("//host/a%20b/v0/index.m3u8?token=1")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		ref, path, query string
		ok               bool
	}{
		{"seg.ts", "/a%20b/v0/seg.ts", "", true},
		{"seg 1.ts?x=y#f", "/a%20b/v0/seg%201.ts", "x=y", true},
		{"../v1/s%2fx.ts", "/a%20b/v1/s%2fx.ts", "", true},
		{"/root.ts", "/root.ts", "", true},
		{"../../../../up.ts", "/up.ts", "", true},
		{"//host/x.ts", "/x.ts", "", true},
		{"https://HOST/x.ts", "/x.ts", "", true},
		{"https://other/x.ts", "", "", false},
		{"data:video/mp4;base64,AA", "", "", false},
		{"skd://key", "", "", false},
		{"%zz", "", "", false},
	} {
		p, err := manifest.ReadHLS([]byte(mediaPlaylist(c.ref)), manifest.Source{URL: base})
		if err != nil {
			t.Fatalf("%s: %v", c.ref, err)
		}
		var path, query string
		var ok bool
		if len(p.Entries) > 0 {
			path, query, ok = manifest.Local(p.Entries[0].URL, "host")
		}
		if path != c.path || query != c.query || ok != c.ok {
			t.Errorf("%s: %q %q %v", c.ref, path, query, ok)
		}
	}
	if path, _, ok := manifest.Local(&url.URL{Path: "/x"}, "any"); path != "/x" || !ok {
		t.Error("a URL without a host does not lie on every host")
	}
}
