package insight

import (
	"bytes"
	"embed"
	"net/http"
	"path"
	"time"
)

//go:embed www
var www embed.FS

// ServeDashboard answers a request for the dashboard's page, "dashboard", or a file of it, such
// as dashboard.js. They hold no figures, so anybody may have them. handled is false if there
// is no such file.
func ServeDashboard(w http.ResponseWriter, r *http.Request, name string) (handled bool) {
	if name == "dashboard" {
		name = "dashboard.html"
	}
	b, err := www.ReadFile("www/" + name)
	if err != nil {
		return false
	}
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'self'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cache-Control", "no-cache")
	if path.Ext(name) == ".js" {
		h.Set("Content-Type", "text/javascript; charset=utf-8")
	}
	http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(b))
	return true
}
