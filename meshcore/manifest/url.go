package manifest

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// resolve returns the URL that a manifest at base means by ref, as browsers read it
// (WHATWG URL Standard, section 4.4): a name may have a colon behind what is no
// scheme, spaces and letters beyond ASCII are escaped, a backslash is a slash, host
// names are in lower case and without their scheme's port, and the fragment goes. It
// is nil for what is not fetched over HTTP, and for a percent sign that begins no
// escape, which servers refuse.
func resolve(base *url.URL, ref string) *url.URL {
	ref = strings.Map(func(c rune) rune {
		if c == '\t' || c == '\n' || c == '\r' {
			return -1
		}
		return c
	}, strings.TrimFunc(ref, func(c rune) bool { return c <= ' ' }))
	ref, _, _ = strings.Cut(ref, "#")
	scheme, ref := cutScheme(ref)
	ref, query, asks := strings.Cut(ref, "?")
	ref = strings.ReplaceAll(ref, `\`, "/")
	switch {
	case scheme != "" && scheme != "http" && scheme != "https":
		return nil
	case scheme != "" && scheme == base.Scheme && !strings.HasPrefix(ref, "//"):
		scheme = "" // "http:a.ts"
	case scheme != "":
		ref, scheme = "//"+strings.TrimLeft(ref, "/"), scheme+":"
	}
	host := ""
	if after, ok := strings.CutPrefix(ref, "//"); ok {
		end := strings.IndexByte(after, '/')
		if end < 0 {
			end, after = len(after), after+"/"
		}
		host, ref = "//"+after[:end], after[end:]
	}
	path, ok := escape(ref, "\"#<>?^`{}")
	if !ok {
		return nil
	}
	path = dots(path)
	if query, _ = escape(query, "\"#<>'"); asks {
		query = "?" + query
	}
	if path != "" && path[0] != '/' {
		path = "./" + path // its first segment may have a colon
	}
	u, err := url.Parse(scheme + host + path + query)
	if err != nil {
		return nil
	}
	u = base.ResolveReference(u)
	u.Host = strings.ToLower(u.Host)
	if port := map[string]string{"http": ":80", "https": ":443"}[u.Scheme]; port != "" {
		u.Host = strings.TrimSuffix(u.Host, port)
	}
	return u
}

// cutScheme takes the scheme off a URL, in lower case; it is empty where there is
// none.
func cutScheme(ref string) (scheme, rest string) {
	for i, c := range []byte(ref) {
		letter := 'a' <= c|0x20 && c|0x20 <= 'z'
		switch {
		case i > 0 && c == ':':
			return strings.ToLower(ref[:i]), ref[i+1:]
		case letter || (i > 0 && strings.IndexByte("0123456789+-.", c) >= 0):
		default:
			return "", ref
		}
	}
	return "", ref
}

// escape escapes what a browser escapes: controls, spaces, what is beyond ASCII, and
// the characters of also. ok is false if s has a percent sign that begins no escape.
func escape(s, also string) (escaped string, ok bool) {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	ok = true
	for i, c := range s {
		if c == '%' && !(i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2])) {
			ok = false
		}
		if c > ' ' && c < 0x7f && !strings.ContainsRune(also, c) {
			b.WriteByte(byte(c))
			continue
		}
		for _, x := range utf8.AppendRune(nil, c) {
			b.Write([]byte{'%', hex[x>>4], hex[x&15]})
		}
	}
	return b.String(), ok
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c|0x20 && c|0x20 <= 'f'
}

// dots writes the dot segments of a path without escapes.
func dots(path string) string {
	if !strings.Contains(path, "%2e") && !strings.Contains(path, "%2E") {
		return path
	}
	segments := strings.Split(path, "/")
	for i, s := range segments {
		if bare := strings.ReplaceAll(strings.ToLower(s), "%2e", "."); bare == "." || bare == ".." {
			segments[i] = bare
		}
	}
	return strings.Join(segments, "/")
}

// Local returns the escaped path and the query of a URL that lies on host, over
// HTTP. A URL without a host lies on every one. ok is false for those of other hosts
// and schemes, and for nil. Hosts are compared without regard to case; a port, where
// there is one, is part of the host.
func Local(u *url.URL, host string) (path, query string, ok bool) {
	if u == nil || u.Opaque != "" {
		return "", "", false
	}
	switch u.Scheme {
	case "", "http", "https":
	default:
		return "", "", false
	}
	if u.Host != "" && !strings.EqualFold(u.Host, host) {
		return "", "", false
	}
	return u.EscapedPath(), u.RawQuery, true
}
