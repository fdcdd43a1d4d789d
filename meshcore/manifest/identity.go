package manifest

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Identity says which parts of a URL are the viewer's own, such as a session id, and
// so are no part of what the URL names. The edge and all peers of a presentation
// use the same one. The zero value takes out what a player adds for the server alone
// (see CanonicalQuery).
type Identity struct {
	// Params are the names of query parameters, as they stand in a URL.
	Params []string
	// Path matches what is the viewer's in a canonical path; only its first match
	// counts. Nil: nothing is.
	Path *regexp.Regexp
	// Cut takes viewer tokens out of an escaped path with its query. Nil: there are
	// none.
	Cut func(uri string) string
}

// Name is what a resource of one host is called by the edge and by all peers: a
// canonical path, and a query without what is the viewer's.
type Name struct{ Path, Query string }

// String returns the path, and the query after a question mark if there is one.
func (n Name) String() string {
	if n.Query == "" {
		return n.Path
	}
	return n.Path + "?" + n.Query
}

// Name returns the name of the resource at an escaped path, with a query.
func (i *Identity) Name(escaped, query string) Name {
	if i.Cut != nil {
		escaped, query, _ = strings.Cut(i.Cut(Name{escaped, query}.String()), "?")
	}
	return Name{i.CutPath(CanonicalPath(escaped)), CanonicalQuery(query, i.Params)}
}

// Of returns the name of the resource at a URL.
func (i *Identity) Of(u *url.URL) Name { return i.Name(u.EscapedPath(), u.RawQuery) }

// CutPath returns a canonical path without what is the viewer's in it.
func (i *Identity) CutPath(path string) string {
	if i.Path == nil {
		return path
	}
	at := i.Path.FindStringIndex(path)
	if at == nil {
		return path
	}
	path = path[:at[0]] + path[at[1]:]
	if !strings.HasPrefix(path, "/") {
		return "/" + path
	}
	return path
}

// maxPathExpression is the longest expression of ParseViewerPath, in bytes.
const maxPathExpression = 256

// notInBrowsers matches what RE2 and the regular expressions of browsers
// (ECMA-262, section 22.2) read differently.
var notInBrowsers = regexp.MustCompile(`\(\?[^:]|\\[AzQECpPaxb]|\[\[:|[^ -~]`)

// ParseViewerPath reads an expression for Identity.Path. It refuses what browsers,
// which have to find the same, do not read in the same way: flags, named groups,
// \A, \z, \Q, \p, \x, \b, [[:alpha:]], and all but printable ASCII.
func ParseViewerPath(expression string) (*regexp.Regexp, error) {
	if len(expression) > maxPathExpression {
		return nil, fmt.Errorf("the expression has %d bytes, at most %d", len(expression), maxPathExpression)
	}
	if at := notInBrowsers.FindString(expression); at != "" {
		return nil, fmt.Errorf("browsers do not read %q as this server does: write it with characters, classes, groups (?:...), anchors ^ and $, and repetitions", at)
	}
	re, err := regexp.Compile(expression)
	if err != nil {
		return nil, err
	}
	if re.MatchString("") {
		return nil, errors.New("the expression matches nothing at all: write what stands for the session, such as ^/session/[^/]+")
	}
	return re, nil
}
