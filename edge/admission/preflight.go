package admission

import (
	"net/http"
	"strings"
)

// isPreflight reports whether a request is a CORS preflight (Fetch standard, section
// 3.2.2), which a browser sends without credentials. Any other OPTIONS is a request
// like all.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}

// allow answers a preflight, because no upstream can answer it with anything that the
// viewer token guards. It lets a page of any host ask by GET and HEAD; what the page may
// read, the header of the answer to that says, as the upstream wants it.
func allow(w http.ResponseWriter, r *http.Request, p *Policy) {
	h := w.Header()
	if h.Get("Access-Control-Allow-Origin") == "" && !p.CORS(w, r) {
		h.Set("Access-Control-Allow-Origin", "*")
	}
	h.Set("Access-Control-Allow-Methods", "GET, HEAD")
	if asked := r.Header.Get("Access-Control-Request-Headers"); isFieldList(asked) {
		h.Set("Access-Control-Allow-Headers", asked)
	}
	h.Add("Vary", "Access-Control-Request-Headers")
	h.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
}

// isFieldList reports whether s is a list of names of header fields, of at most 1 KiB.
func isFieldList(s string) bool {
	return s != "" && len(s) <= 1<<10 && strings.Trim(strings.ToLower(s), "abcdefghijklmnopqrstuvwxyz0123456789-_, ") == ""
}
