package browsertest

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// carried are players as TestPlayers has them, which tell what they send in
// different ways.
var carried = map[string]string{
	"hls.js":              "/hls.html?src=/live/index.m3u8",
	"hls.js with loader":  "/hls.html?loader&src=/live/index.m3u8",
	"Shaka with a plugin": "/shaka.html?loader&src=/live/index.m3u8",
	"dash.js with loader": "/dash.html?loader&src=/live/manifest.mpd",
}

// TestHeaderToken: where the viewer's token is in a header of the player's
// requests, what the mesh asks the edge for carries it, too.
func TestHeaderToken(t *testing.T) {
	secret := strings.Repeat("k", 32)
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.HS256, Key: []byte(secret)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(jwt.Claims{Expiry: jwt.NewNumericDate(time.Now().Add(time.Hour))}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	players := npmFolder(t)
	browser := startBrowser(t)
	for name, path := range carried {
		t.Run(name, func(t *testing.T) {
			share(t, browser, options{site: withPlayers(players), mesh: "token jwt {\n alg HS256\n secret " + secret + "\n require\n }"}, path+"&token="+token)
		})
	}
}

// TestCMCD: players that add their measures to each URL carry each other all the
// same.
func TestCMCD(t *testing.T) {
	players := npmFolder(t)
	browser := startBrowser(t)
	for name, path := range carried {
		t.Run(name, func(t *testing.T) {
			for _, p := range share(t, browser, options{site: withPlayers(players)}, path+"&cmcd") {
				if !eval[bool](p, `performance.getEntriesByType("resource").some((e) => e.name.includes("CMCD="))`) {
					t.Errorf("%s: the player tells nothing", p.name)
				}
			}
		})
	}
}

// share has two pages give each other something.
func share(t *testing.T, browser context.Context, o options, path string) []*page {
	t.Helper()
	pages := watch(t, browser, startEdge(t, o), 2, path, 3)
	for _, p := range pages {
		p.until("bytes to or from the other page", "mesh.stats.peerBytes + mesh.stats.uploadedBytes > 50_000", 40*time.Second)
		p.quiet()
	}
	return pages
}
