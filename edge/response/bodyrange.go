package response

import (
	"net/http"
	"strconv"
	"strings"
)

// bodyRange returns which bytes of its resource a response carries: all size of
// them (200), or length from offset of size (206 with one range); size is -1 of
// one that still grows. ok is false if the header does not tell.
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

// isWhole reports whether a response carries all of its resource: also as one
// range, because the HLS player of Chromium asks for playlists with
// "Range: bytes=0-".
func isWhole(status int, h http.Header) bool {
	if status != http.StatusPartialContent {
		return status == http.StatusOK
	}
	_, length, size, ok := bodyRange(status, h)
	return ok && length == size
}

// parseContentRange reads "bytes first-last/size" (RFC 9110, section 14.4); for the
// size * it returns -1.
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

// askedRange reads "bytes=first-last" (RFC 9110, section 14.2), one range with both
// ends.
func askedRange(s string) (offset, length int64, ok bool) {
	span, isBytes := strings.CutPrefix(s, "bytes=")
	first, last, dash := strings.Cut(span, "-")
	a, err1 := strconv.ParseInt(first, 10, 64)
	b, err2 := strconv.ParseInt(last, 10, 64)
	if !isBytes || !dash || err1 != nil || err2 != nil || a < 0 || b < a {
		return 0, 0, false
	}
	return a, b - a + 1, true
}
