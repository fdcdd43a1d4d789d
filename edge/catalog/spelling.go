package catalog

import (
	"net/url"
	"path"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// readings counts what is listed by the path that the most lenient server reads: of
// all that does not show by its name that it is media. It is for the gate alone, which
// must not let a segment out by another spelling; one key names a resource everywhere
// else. The catalog's lock guards it.
type readings map[Location]int

// list notes that a path is listed, or, with -1, that it is no more.
func (rs readings) list(at Location, n int) {
	if manifest.IsMediaName(at.Path) {
		return
	}
	at.Path = strings.ToLower(lenient(at.Path))
	if rs[at] += n; rs[at] <= 0 {
		delete(rs, at)
	}
}

// lenient returns the decoded path that a lenient server reads.
func lenient(escaped string) string {
	for range 3 {
		decoded, err := url.PathUnescape(escaped)
		if err != nil || decoded == escaped {
			break
		}
		escaped = decoded
	}
	segments := strings.Split(strings.ReplaceAll(escaped, `\`, "/"), "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	return strings.TrimRight(path.Clean("/"+strings.Join(segments, "/")), ". ")
}
