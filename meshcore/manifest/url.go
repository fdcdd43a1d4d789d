package manifest

import (
	"net/url"
	"strings"
)

// resolve gives the URL that a manifest at base means by ref, nil if it cannot be
// read or names no place in a hierarchy (data:, urn:).
func resolve(base *url.URL, ref string) *url.URL {
	u, err := url.Parse(ref)
	if err != nil || u.Opaque != "" {
		return nil
	}
	return base.ResolveReference(u)
}

// Local gives the escaped path and the query of a URL that lies on host, over HTTP.
// A URL without a host lies on every one. ok is false for those of other hosts and
// schemes, and for nil. Hosts are compared without regard to case; a port, where
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
