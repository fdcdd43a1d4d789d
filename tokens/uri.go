package tokens

import (
	"strings"
)

// maxURISize bounds a request URI, in bytes.
const maxURISize = 8 << 10

// splitURI cuts an absolute http or https URI into its parts. The path keeps its
// leading slash (it may be empty), the query its question mark (empty where
// there is none).
func splitURI(uri string) (scheme, authority, path, query string, err error) {
	if len(uri) > maxURISize {
		return "", "", "", "", refuse(ReasonMalformedURI, "the URI is longer than 8 KiB")
	}
	for i := 0; i < len(uri); i++ {
		c := uri[i]
		if c <= ' ' || c > '~' || c == '#' {
			return "", "", "", "", refuse(ReasonMalformedURI, "the URI holds a fragment or a character that must be percent-encoded")
		}
		if c == '%' && (i+2 >= len(uri) || !isHex(uri[i+1]) || !isHex(uri[i+2])) {
			return "", "", "", "", refuse(ReasonMalformedURI, "the URI holds a broken percent escape")
		}
	}
	scheme, rest, ok := strings.Cut(uri, "://")
	scheme = strings.ToLower(scheme)
	if !ok || scheme != "http" && scheme != "https" {
		return "", "", "", "", refuse(ReasonMalformedURI, "the URI is not an absolute http or https URI")
	}
	end := strings.IndexAny(rest, "/?")
	if end < 0 {
		end = len(rest)
	}
	authority, rest = rest[:end], rest[end:]
	if authority == "" || strings.ContainsAny(authority, "@\\") {
		return "", "", "", "", refuse(ReasonMalformedURI, "the URI has no host, or user information before it")
	}
	path = rest
	if q := strings.IndexByte(rest, '?'); q >= 0 {
		path, query = rest[:q], rest[q:]
	}
	return scheme, authority, path, query, nil
}

// normalURI is a URI normalized for comparison.
type normalURI struct {
	text string // all of it
	site string // its scheme and authority
	path string // its path, from "/"
}

// normalizeURI normalizes an absolute http or https URI by RFC 7230 section 2.7.3
// and RFC 3986 sections 6.2.2 and 6.2.3: scheme and host in lower case, default
// port gone, percent escapes in upper case and only where needed, dot segments
// removed, an empty path made "/".
func normalizeURI(uri string) (normalURI, error) {
	scheme, authority, path, query, err := splitURI(uri)
	if err != nil {
		return normalURI{}, err
	}
	authority, ok := normalizeAuthority(scheme, authority)
	if !ok {
		return normalURI{}, refuse(ReasonMalformedURI, "the URI's host or port is not one")
	}
	path = removeDotSegments(normalizeEscapes(path))
	site := scheme + "://" + authority
	return normalURI{text: site + path + normalizeEscapes(query), site: site, path: path}, nil
}

// normalizeAuthority writes a host in lower case and drops an empty or default
// port. It reports false where there is no host or the port is no number.
func normalizeAuthority(scheme, authority string) (string, bool) {
	host, port := authority, ""
	if colon := strings.LastIndexByte(authority, ':'); colon > strings.LastIndexByte(authority, ']') {
		host, port = authority[:colon], authority[colon+1:]
	}
	for i := range len(port) {
		if port[i] < '0' || port[i] > '9' {
			return "", false
		}
	}
	if literal, ok := strings.CutPrefix(host, "["); ok { // RFC 3986 section 3.2.2, IP-literal
		literal, ok = strings.CutSuffix(literal, "]")
		if !ok || literal == "" || strings.ContainsAny(literal, "[]%") {
			return "", false
		}
	} else if host == "" || strings.ContainsAny(host, ":[]") {
		return "", false
	}
	host = strings.ToLower(normalizeEscapes(host))
	host = normalizeEscapes(host) // the hex digits back in upper case
	if port == "" || scheme == "http" && port == "80" || scheme == "https" && port == "443" {
		return host, true
	}
	return host + ":" + port, true
}

// normalizeEscapes decodes percent escapes of unreserved characters and writes
// the others in upper case.
func normalizeEscapes(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	const hex = "0123456789ABCDEF"
	var sb strings.Builder
	sb.Grow(len(s))
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			sb.WriteByte(s[i])
			continue
		}
		c := unhex(s[i+1])<<4 | unhex(s[i+2])
		if isUnreserved(c) {
			sb.WriteByte(c)
		} else {
			sb.WriteByte('%')
			sb.WriteByte(hex[c>>4])
			sb.WriteByte(hex[c&15])
		}
		i += 2
	}
	return sb.String()
}

// removeDotSegments is RFC 3986 section 5.2.4 for an absolute or empty path.
func removeDotSegments(path string) string {
	if path == "" {
		return "/"
	}
	if !strings.Contains(path, "/.") {
		return path
	}
	segments := strings.Split(path[1:], "/")
	out := make([]string, 0, len(segments))
	for i, seg := range segments {
		last := i == len(segments)-1
		switch seg {
		case ".":
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, seg)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}
