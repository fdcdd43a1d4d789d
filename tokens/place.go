package tokens

import "strings"

// style says how a token may be written into a URI.
type style int

const (
	pathParameter style = iota // "/a;name=JWT/b" (RFC 6570 section 3.2.7)
	pathSegment                // "/name=JWT/a/b"
	formParameter              // "?name=JWT" or "&name=JWT" (RFC 6570 sections 3.2.8, 3.2.9)
)

// cutToken finds the first parameter of a name in a URI, in the styles given, in
// that order, and gives its value and the URI without it. The cut follows RFC
// 9246 section 2.1.15: a value that a sub-delimiter ends is removed together
// with it, any other together with the delimiter before the name.
func cutToken(uri, name string, styles ...style) (token, without string, ok bool) {
	query := strings.IndexByte(uri, '?')
	if query < 0 {
		query = len(uri)
	}
	start := 0
	if i := strings.Index(uri, "://"); i >= 0 && i < query {
		start = i + 3
	}
	for _, s := range styles {
		at := -1 // of the delimiter before the name
		switch s {
		case pathParameter:
			at = indexFrom(uri[:query], start, ";"+name+"=")
		case pathSegment:
			at = indexFrom(uri[:query], start, "/"+name+"=")
		case formParameter:
			if at = indexFrom(uri, query, "?"+name+"="); at != query {
				at = indexFrom(uri, query, "&"+name+"=")
			}
		}
		if at < 0 {
			continue
		}
		value := at + 1 + len(name) + 1
		end := value
		for end < len(uri) && !isReserved(uri[end]) {
			end++
		}
		if end < len(uri) && isSubDelim(uri[end]) {
			return uri[value:end], uri[:at+1] + uri[end+1:], true
		}
		return uri[value:end], uri[:at] + uri[end:], true
	}
	return "", uri, false
}

// cutAll takes out every parameter of a name.
func cutAll(uri, name string, styles ...style) string {
	for ok := true; ok; {
		_, uri, ok = cutToken(uri, name, styles...)
	}
	return uri
}

// CutURI takes the tokens of some names out of a URI, in whatever way they are
// written into its path or query, and gives the first. Viewers know by what is left
// which of their segments are the same. uri is absolute, or begins with the path.
func CutURI(uri string, names []string) (token, without string) {
	for _, name := range names {
		for ok := true; ok; {
			var found string
			if found, uri, ok = cutToken(uri, name, pathParameter, pathSegment, formParameter); token == "" {
				token = found
			}
		}
	}
	return token, uri
}

func indexFrom(s string, from int, sub string) int {
	if from > len(s) {
		return -1
	}
	i := strings.Index(s[from:], sub)
	if i < 0 {
		return -1
	}
	return from + i
}

func isSubDelim(c byte) bool { return strings.IndexByte("!$&'()*+,;=", c) >= 0 }

func isReserved(c byte) bool { return isSubDelim(c) || strings.IndexByte(":/?#[]@", c) >= 0 }

// maxCookies bounds how many cookies of one name are tried. A browser sends the
// one with the most specific path first (RFC 6265 section 5.4).
const maxCookies = 4

// cookieValues gives the values of the cookies of a name, in the order sent.
func cookieValues(header map[string][]string, name string) []string {
	var values []string
	for _, line := range header["Cookie"] {
		for pair := range strings.SplitSeq(line, ";") {
			key, value, ok := strings.Cut(strings.TrimSpace(pair), "=")
			if !ok || key != name {
				continue
			}
			if len(value) >= 2 && value[0] == '"' && value[len(value)-1] == '"' {
				value = value[1 : len(value)-1]
			}
			if values = append(values, value); len(values) == maxCookies {
				return values
			}
		}
	}
	return values
}

// isParameterName holds a parameter or cookie name to unreserved characters, so
// that it means the same in a URI, a cookie and a template.
func isParameterName(name string) bool {
	if name == "" || len(name) > 64 {
		return false
	}
	for i := range len(name) {
		if !isUnreserved(name[i]) {
			return false
		}
	}
	return true
}
