// Package browser is the browser peer: ES modules that make a page a viewer of
// the mesh. It only holds the files; the edge serves them.
//
// # The files
//
// The modules lie in www, one for each concern; wire.js, signal.js,
// integrity.js, tokens.js and peer/ mirror the Go packages of that name. They work
// as they are, in one folder of any server. The edge serves a few minified files
// that go generate makes of them, so that no page waits for forty requests:
//
//	mesh.js        the entry: <script type="module" src="/mesh/mesh.js"></script>
//	sw.js          the service worker between the page's player and the network
//	hls.js shaka.js dash.js   loaders for pages without a worker; they import mesh.js
//
// # How they are to be served
//
// All lie in one folder, whatever its URL. Each is answered with the
// Content-Type text/javascript; charset=utf-8, with an ETag and
// Cache-Control: no-cache, and with CORS for the pages of other hosts that may
// use the mesh (a module is fetched with CORS). sw.js needs Service-Worker-Allowed:
// / as well, so that it sees the requests of all pages.
package browser

import (
	"embed"
	"io/fs"
)

//go:generate go run ../../internal/bundle/generate www bundles

//go:embed bundles
var bundles embed.FS

// Bundles returns the files to serve, with mesh.js at the root. They are written by
//
//	go generate ./meshcore/browser
func Bundles() fs.FS {
	f, err := fs.Sub(bundles, "bundles")
	if err != nil {
		panic(err) // only an invalid name fails, and ours is a constant
	}
	return f
}
