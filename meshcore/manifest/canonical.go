package manifest

import (
	"slices"
	"strings"
)

// CanonicalPath returns the one spelling of an escaped path by which a resource is
// known to the edge and to all peers (RFC 3986, section 6.2.2): escapes of
// unreserved characters are decoded, the others are in upper case, and there are no
// dot segments. Empty segments stay: "/a//b" is another resource than "/a/b". A
// path that is spelled so already is returned as it is.
func CanonicalPath(escaped string) string {
	if strings.Contains(escaped, "%") {
		escaped = canonicalEscapes(escaped)
	}
	if strings.Contains(escaped, "/.") {
		escaped = withoutDots(escaped)
	}
	return escaped
}

// canonicalEscapes decodes escapes of unreserved characters (RFC 3986, section 2.3)
// and writes the others in upper case. A percent sign that begins no escape stays.
func canonicalEscapes(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '%' || i+2 >= len(s) || !isHex(s[i+1]) || !isHex(s[i+2]) {
			b.WriteByte(s[i])
			continue
		}
		if c := unhex(s[i+1])<<4 | unhex(s[i+2]); isUnreserved(c) {
			b.WriteByte(c)
		} else {
			b.WriteString(strings.ToUpper(s[i : i+3]))
		}
		i += 2
	}
	return b.String()
}

func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return c&0x0f + 9
}

func isUnreserved(c byte) bool {
	return 'a' <= c|0x20 && c|0x20 <= 'z' || '0' <= c && c <= '9' || strings.IndexByte("-._~", c) >= 0
}

// withoutDots removes dot segments (RFC 3986, section 5.2.4).
func withoutDots(path string) string {
	segments := strings.Split(path, "/")
	out := segments[:0:0]
	for i, s := range segments {
		last := i == len(segments)-1
		switch s {
		case ".":
		case "..":
			if len(out) > 1 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, s)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return strings.Join(out, "/")
}

// CanonicalQuery returns a query without the parameters that are the viewer's:
// those of viewer, and what a player adds for the server alone (the directives of a
// reload, draft-pantos-hls-rfc8216bis, section 6.2.5, and the measures of CTA-5004,
// CMCD). The others stay in their order; escapes are spelled as CanonicalPath does.
func CanonicalQuery(query string, viewer []string) string {
	if query == "" {
		return ""
	}
	if strings.Contains(query, "%") {
		query = canonicalEscapes(query)
	}
	var b strings.Builder
	for pair := range strings.SplitSeq(query, "&") {
		name, _, _ := strings.Cut(pair, "=")
		switch name {
		case "CMCD", "_HLS_msn", "_HLS_part", "_HLS_skip":
			continue
		}
		if pair == "" || slices.Contains(viewer, name) {
			continue
		}
		if b.Len() > 0 {
			b.WriteByte('&')
		}
		b.WriteString(pair)
	}
	return b.String()
}

// SingleSlashes returns a path without empty segments: many servers and upstreams
// take "//" for "/", so what guards a resource guards that spelling of it, too.
func SingleSlashes(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// CanonicalHost returns the host of a request in lower case and without the default
// port of its scheme.
func CanonicalHost(host string, https bool) string {
	port := ":80"
	if https {
		port = ":443"
	}
	return strings.TrimSuffix(strings.ToLower(host), port)
}
