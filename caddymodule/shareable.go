package caddymodule

import (
	"mime"
	"net/http"
	"strconv"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// shareable says whether the header of a response lets its body travel between
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
	switch t := contentType(h); {
	case manifest.IsHLS(t), manifest.IsDASH(t), t == "text/html", t == "application/json":
		return "content_type", false
	}
	return "", true
}

// validator is what tells one version of a resource from another: its ETag, or
// else its Last-Modified, or "".
func validator(h http.Header) string {
	if e := h.Get("Etag"); e != "" {
		return e
	}
	return h.Get("Last-Modified")
}

func contentType(h http.Header) string {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	if err != nil {
		return ""
	}
	return t
}

// bodyRange says which bytes of its resource a response carries: all size of
// them (200), or length from offset of size (206 with one range); size is -1 of
// one that still grows. ok is false if the header does not say.
func bodyRange(status int, h http.Header) (offset, length, size int64, ok bool) {
	switch status {
	case http.StatusOK:
		n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64)
		return 0, n, n, err == nil && n > 0
	case http.StatusPartialContent:
		return parseContentRange(h.Get("Content-Range"))
	}
	return 0, 0, 0, false
}

// parseContentRange reads "bytes first-last/size" (RFC 9110, section 14.4); for the
// size * it gives -1.
func parseContentRange(s string) (offset, length, size int64, ok bool) {
	s, isBytes := strings.CutPrefix(s, "bytes ")
	span, total, slash := strings.Cut(s, "/")
	first, last, dash := strings.Cut(span, "-")
	if !isBytes || !slash || !dash {
		return 0, 0, 0, false
	}
	a, err1 := strconv.ParseInt(first, 10, 64)
	b, err2 := strconv.ParseInt(last, 10, 64)
	n, err3 := strconv.ParseInt(total, 10, 64)
	if total == "*" {
		n, err3 = -1, nil
	}
	if err1 != nil || err2 != nil || err3 != nil || a < 0 || b < a || (n >= 0 && n <= b) || n < -1 {
		return 0, 0, 0, false
	}
	return a, b - a + 1, n, true
}
