package tokens

import "strings"

// CoversPath reports whether a path lies under a scope prefix. Both are the
// percent-encoded path of a URI, from "/", without query, compared byte for
// byte on segment boundaries:
//
//	"/"      covers every path
//	"/live"  covers "/live" and all below "/live/", not "/liver"
//	"/live/" covers all below "/live/"
//
// A path that a server may read as another one (a dot segment, plain or
// encoded, an encoded slash or backslash, a zero byte) is covered by no prefix.
func CoversPath(prefix, path string) bool {
	if !isPlainPath(prefix) || !isPlainPath(path) || !strings.HasPrefix(path, prefix) {
		return false
	}
	return strings.HasSuffix(prefix, "/") || len(path) == len(prefix) || path[len(prefix)] == '/'
}

// isPlainPath reports whether s is an absolute, percent-encoded path that means
// the same to every server: visible ASCII, whole escapes, no query or fragment,
// no backslash, no encoded slash, backslash or zero byte, no dot segments.
func isPlainPath(s string) bool {
	if s == "" || s[0] != '/' || len(s) > MaxTokenSize {
		return false
	}
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c <= ' ' || c > '~' || c == '?' || c == '#' || c == '\\':
			return false
		case c == '%':
			if i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
				return false
			}
			switch unhex(s[i+1])<<4 | unhex(s[i+2]) {
			case '/', '\\', 0:
				return false
			}
			i += 2
		}
	}
	for seg := range strings.SplitSeq(s, "/") {
		if isDotSegment(seg) {
			return false
		}
	}
	return true
}

// isDotSegment reports whether a path segment is "." or "..", also when dots are
// percent-encoded or path parameters follow.
func isDotSegment(seg string) bool {
	seg, _, _ = strings.Cut(seg, ";")
	if len(seg) == 0 || len(seg) > 6 || (seg[0] != '.' && seg[0] != '%') {
		return false
	}
	seg = strings.ReplaceAll(strings.ReplaceAll(seg, "%2e", "."), "%2E", ".")
	return seg == "." || seg == ".."
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

func unhex(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c >= 'a':
		return c - 'a' + 10
	default:
		return c - 'A' + 10
	}
}

// isUnreserved is the unreserved set of RFC 3986 section 2.3.
func isUnreserved(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		c == '-' || c == '.' || c == '_' || c == '~'
}
