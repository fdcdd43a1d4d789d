// Package browser is the browser peer: ES modules that make a page a viewer of
// the mesh. It only holds the files; caddymodule serves them.
//
// # The files
//
// The modules lie in www, one for each concern; wire.js, signal.js,
// integrity.js, tokens.js and peer/ mirror the Go packages of that name. What is
// served are a few files made of them, without comments, when the program
// starts (bundle.go, squeeze.go): no page waits for thirty requests, and nobody needs
// a build step.
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
	"fmt"
	"io/fs"
)

//go:embed www
var files embed.FS

// names are the files that are served.
var names = []string{"mesh.js", "sw.js", "hls.js", "shaka.js", "dash.js"}

// Files gives the files by name. It makes them anew each time.
func Files() (map[string][]byte, error) {
	www := Modules()
	made := map[string][]byte{}
	for _, name := range names {
		var text string
		var err error
		if name == "mesh.js" {
			text, err = bundle(www, name)
		} else {
			var b []byte
			if b, err = fs.ReadFile(www, name); err == nil {
				text, err = squeeze(string(b))
			}
		}
		if err != nil {
			return nil, fmt.Errorf("make %s: %w", name, err)
		}
		made[name] = []byte(text)
	}
	return made, nil
}

// Modules gives the modules as they were written, with mesh.js at the root.
func Modules() fs.FS {
	f, err := fs.Sub(files, "www")
	if err != nil {
		panic(err) // only an invalid name fails, and ours is a constant
	}
	return f
}
