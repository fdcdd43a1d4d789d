// Package browser is the browser peer: ES modules that make a page a viewer of
// the mesh. It only holds the files; caddymodule serves them.
//
// # The files
//
//	mesh.js        the entry: <script type="module" src="/mesh/mesh.js"></script>
//	sw.js          the service worker between the page's player and the network
//	hls.js shaka.js dash.js   loaders for pages without a worker
//	stats.js       the element <mesh-stats>
//	viewer.js      one viewer: session, engine, timers; the driver of peer/
//	...            one module for each concern; wire.js, signal.js, integrity.js,
//	               tokens.js and peer/ mirror the Go packages of that name
//
// # How they are to be served
//
// All lie in one folder, whatever its URL. Each is answered with the
// Content-Type text/javascript; charset=utf-8, with an ETag and Cache-Control
// max-age=300 or so, and with Access-Control-Allow-Origin for the pages of
// other hosts that may use the mesh (a module is fetched with CORS). sw.js needs
// Service-Worker-Allowed: / as well, so that it sees the requests of all pages,
// and Cache-Control: no-cache.
package browser

import (
	"embed"
	"io/fs"
)

//go:embed www
var files embed.FS

// Files gives the files, with mesh.js at the root.
func Files() fs.FS {
	f, err := fs.Sub(files, "www")
	if err != nil {
		panic(err) // only an invalid name fails, and ours is a constant
	}
	return f
}
