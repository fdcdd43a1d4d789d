package edge

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/net/http/httpguts"

	"github.com/viewmesh/viewmesh/meshcore/browser"
)

// script is one file of the browser peer, as it is and compressed.
type script struct {
	plain, gzip []byte
	etag        string // without quotes
}

// scripts reads and compresses the files of the browser peer, once.
var scripts = sync.OnceValues(func() (map[string]*script, error) {
	files := map[string]*script{}
	names, err := fs.Glob(browser.Bundles(), "*.js")
	if err != nil {
		return nil, fmt.Errorf("list the browser peer's files: %w", err)
	}
	for _, name := range names {
		plain, err := fs.ReadFile(browser.Bundles(), name)
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", name, err)
		}
		var z bytes.Buffer
		w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
		if err != nil {
			return nil, fmt.Errorf("compress %s: %w", name, err)
		}
		if _, err := w.Write(plain); err != nil {
			return nil, fmt.Errorf("compress %s: %w", name, err)
		}
		if err := w.Close(); err != nil {
			return nil, fmt.Errorf("compress %s: %w", name, err)
		}
		sum := sha256.Sum256(plain)
		files[name] = &script{plain, z.Bytes(), hex.EncodeToString(sum[:8])}
	}
	return files, nil
})

// serveScript answers a request for a file of the browser peer, such as
// /mesh/mesh.js; handled is false if name is none. settled is Server.settled.
func serveScript(w http.ResponseWriter, r *http.Request, p *Policy, settled func(http.ResponseWriter) http.ResponseWriter, name string) (handled bool, err error) {
	if !strings.HasSuffix(name, ".js") || (r.Method != http.MethodGet && r.Method != http.MethodHead) {
		return false, nil
	}
	files, err := scripts()
	if err != nil {
		return true, err
	}
	f := files[name]
	if f == nil {
		return false, nil
	}
	p.CORS(w, r) // a module of another host is fetched with CORS
	w = settled(w)
	hd := w.Header()
	hd.Set("Cross-Origin-Resource-Policy", "cross-origin") // so that a page with COEP may load it from another host
	hd.Set("Content-Type", "text/javascript; charset=utf-8")
	hd.Set("Cache-Control", "no-cache") // asked for again each time, answered with 304
	hd.Add("Vary", "Accept-Encoding")
	if name == "sw.js" {
		hd.Set("Service-Worker-Allowed", "/") // it is to see the requests of all pages
	}
	body, etag := f.plain, f.etag
	if httpguts.HeaderValuesContainsToken(r.Header["Accept-Encoding"], "gzip") { // with a weight, as in gzip;q=0, it is served plain
		hd.Set("Content-Encoding", "gzip")
		body, etag = f.gzip, f.etag+"-gzip"
	}
	hd.Set("Etag", `"`+etag+`"`)
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(body))
	return true, nil
}
