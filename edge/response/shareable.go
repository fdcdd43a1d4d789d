package response

import (
	"net/http"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// shareable reports whether the header of a response lets its body travel between
// viewers (RFC 9111 shared caches are the model): no cookie is set, it is not
// private or no-store, it does not vary by viewer, and it is not encoded. reason
// is a short word for the log where it is not.
func shareable(h http.Header) (reason string, ok bool) {
	if len(h["Set-Cookie"]) > 0 {
		return "set_cookie", false
	}
	for _, line := range h["Cache-Control"] {
		for d := range strings.SplitSeq(line, ",") {
			name, _, _ := strings.Cut(strings.TrimSpace(d), "=")
			switch strings.ToLower(strings.TrimSpace(name)) {
			case "private", "no-store":
				return "cache_control", false
			}
		}
	}
	for _, line := range h["Vary"] {
		for f := range strings.SplitSeq(line, ",") {
			switch strings.ToLower(strings.TrimSpace(f)) {
			case "*", "cookie", "authorization":
				return "vary", false
			}
		}
	}
	for _, e := range h["Content-Encoding"] {
		if !strings.EqualFold(strings.TrimSpace(e), "identity") {
			return "content_encoding", false
		}
	}
	switch t := manifest.MediaType(h.Get("Content-Type")); {
	case manifest.IsHLS(t), manifest.IsDASH(t), t == "text/html", t == "application/json":
		return "content_type", false
	}
	return "", true
}

// validator returns what tells one version of a resource from another: its ETag,
// or else its Last-Modified, or "".
func validator(h http.Header) string {
	if e := h.Get("Etag"); e != "" {
		return e
	}
	return h.Get("Last-Modified")
}
