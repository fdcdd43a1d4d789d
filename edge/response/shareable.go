package response

import (
	"iter"
	"net/http"
	"regexp"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// shareable reports whether the header of a response lets its body travel between
// viewers. Shared caches are the model (RFC 9111): no cookie is set, it is not private or
// no-store, also not for some caches alone (RFC 9213), it varies by nothing that viewers differ
// in, it is not encoded, and where it answers credentials it says that it may be shared
// all the same (section 3.5). reason is a short word for the log where it may not.
func shareable(h http.Header, credentials bool) (reason string, ok bool) {
	if len(h["Set-Cookie"]) > 0 || len(h["Set-Cookie2"]) > 0 {
		return "set_cookie", false
	}
	for name, lines := range h {
		if controlsCaches(name) && (says(lines, "private") || says(lines, "no-store")) {
			return "cache_control", false
		}
	}
	if credentials && !allowsShared(h["Cache-Control"]) {
		return "authorization", false
	}
	for f := range words(h["Vary"]) {
		switch f {
		case "accept-encoding", "origin", "access-control-request-method", "access-control-request-headers", "range":
		default:
			return "vary", false
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

// controlsCaches reports whether a field is Cache-Control or one of those for some caches
// alone (RFC 9213), such as CDN-Cache-Control.
func controlsCaches(name string) bool {
	return strings.HasSuffix(name, "Cache-Control") || name == "Surrogate-Control" || name == "Edge-Control"
}

// says reports whether a list has a directive, in whatever form servers write it.
func says(lines []string, directive string) bool {
	for w := range words(lines) {
		if name, _, _ := strings.Cut(w, "="); name == directive {
			return true
		}
	}
	return false
}

// quoted matches the quoted strings of a field (RFC 9110, section 5.6.4).
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"?`)

// allowsShared reports whether Cache-Control lets the answer to credentials be shared. It is
// read by its grammar alone (RFC 9111, section 5.2): what is not clear allows nothing.
func allowsShared(lines []string) bool {
	for _, line := range lines {
		for d := range strings.SplitSeq(quoted.ReplaceAllString(line, ""), ",") {
			name, _, _ := strings.Cut(strings.ToLower(d), "=")
			switch strings.TrimSpace(name) {
			case "public", "must-revalidate", "s-maxage":
				return true
			}
		}
	}
	return false
}

// words returns the words of lists, in lower case, whatever stands between them: some
// servers write semicolons.
func words(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for w := range strings.FieldsFuncSeq(line, func(c rune) bool { return strings.ContainsRune(",; \t\"", c) }) {
				if !yield(strings.ToLower(w)) {
					return
				}
			}
		}
	}
}

// validator returns what tells one version of a resource from another: its ETag,
// or else its Last-Modified, or "".
func validator(h http.Header) string {
	if e := h.Get("Etag"); e != "" {
		return e
	}
	return h.Get("Last-Modified")
}
