package browsertest

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/viewmesh/viewmesh/tokens"
)

// carried are players as TestPlayers has them, which tell what they send in
// different ways.
var carried = map[string]string{
	"hls.js":              "/hls.html?src=/live/index.m3u8",
	"hls.js with loader":  "/hls.html?loader&src=/live/index.m3u8",
	"Shaka with a plugin": "/shaka.html?loader&src=/live/index.m3u8",
	"dash.js with loader": "/dash.html?loader&src=/live/manifest.mpd",
}

var secret = strings.Repeat("k", 32)

// viewerToken makes a JWT that is good for an hour and n seconds, and says more.
func viewerToken(t *testing.T, n int, more map[string]any) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.Claims{Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour + time.Duration(n)*time.Second))}
	token, err := jwt.Signed(signer).Claims(claims).Claims(more).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// TestHeaderToken: where the viewer's token is in a header of the player's requests,
// what the mesh asks the edge for carries it, too; and players that add their
// measures (CMCD) to each URL carry each other all the same.
func TestHeaderToken(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	for name, path := range carried {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, options{site: withPlayers(players), mesh: "token jwt {\n alg HS256\n secret " + secret + "\n require\n }"})
			for _, p := range share(t, browser, e, path+"&cmcd&token="+viewerToken(t, 0, nil), path+"&cmcd&token="+viewerToken(t, 1, nil)) {
				if !eval[bool](p, `performance.getEntriesByType("resource").some((e) => e.name.includes("CMCD="))`) {
					t.Errorf("%s: the player sends no measures", p.name)
				}
			}
		})
	}
}

// TestURLToken: where each viewer has a token of its own in the URLs, in their path
// or added to their query, the segments are the same all the same, and what the
// mesh asks the edge for carries it.
func TestURLToken(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	for name, c := range map[string]struct{ format, path string }{
		"path, native":               {"jwt {\n from path tok", "/native.html?src=/live;tok=TOKEN/index.m3u8"},
		"path, dash.js with loader":  {"jwt {\n from path tok", "/dash.html?loader&src=/live;tok=TOKEN/manifest.mpd"},
		"query, hls.js":              {"jwt {\n from query tok", "/hls.html?src=/live/index.m3u8&add=tok%3DTOKEN"},
		"query, Shaka with a plugin": {"jwt {\n from query tok", "/shaka.html?loader&src=/live/index.m3u8&add=tok%3DTOKEN"},
		"URI Signing, Shaka":         {"urisigning {", "/shaka.html?src=/live;URISigningPackage=TOKEN/index.m3u8"},
	} {
		t.Run(name, func(t *testing.T) {
			e := startEdge(t, options{site: withPlayers(players), mesh: "token " + c.format + "\n alg HS256\n secret " + secret + "\n require\n }"})
			container, err := tokens.RegexContainer(e.url("/live/.*"))
			if err != nil {
				t.Fatal(err)
			}
			var paths []string
			for i := range 2 {
				paths = append(paths, strings.ReplaceAll(c.path, "TOKEN", viewerToken(t, i, map[string]any{"cdniuc": container})))
			}
			share(t, browser, e, paths...)
		})
	}
}

// share has pages give each other something.
func share(t *testing.T, browser context.Context, e *edge, paths ...string) (pages []*page) {
	t.Helper()
	for i, path := range paths {
		pages = append(pages, open(t, browser, fmt.Sprintf("page %d", i), e.url(path)))
	}
	for _, p := range pages {
		p.until("playing", played(3), 40*time.Second)
		p.until("bytes to or from the other page", "mesh.stats.peerBytes + mesh.stats.uploadedBytes > 50_000", 40*time.Second)
		p.quiet()
	}
	return pages
}
