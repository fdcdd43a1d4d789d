package catalog

import (
	"path"
	"strings"
)

// Location is a host, in lower case, and an escaped path.
type Location struct{ Host, Path string }

// Range is a part of a resource, in bytes; Length 0 means the whole of it.
type Range struct{ Offset, Length int64 }

// dirOf returns the directory of an escaped path, with a slash at the end.
func dirOf(p string) string {
	d := path.Dir(p)
	if !strings.HasPrefix(d, "/") {
		return "/"
	}
	if d != "/" {
		d += "/"
	}
	return d
}
