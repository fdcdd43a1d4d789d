package hls

import (
	"fmt"
	"regexp"
	"strings"
)

// variable is a reference to a variable (section 4.3 of the draft).
var variable = regexp.MustCompile(`\{\$([A-Za-z0-9_-]+)\}`)

// define takes EXT-X-DEFINE: a variable by value, by the query of the playlist's
// own URL, or from the multivariant playlist.
func (r *reader) define(a map[string]string) error {
	var name, value string
	ok := true
	switch {
	case a["NAME"] != "":
		name, value = a["NAME"], a["VALUE"]
	case a["QUERYPARAM"] != "":
		name = a["QUERYPARAM"]
		q := r.from.URL.Query()
		value, ok = q.Get(name), q.Has(name)
	default:
		name = a["IMPORT"]
		value, ok = r.from.Imports[name]
	}
	if name == "" || !ok {
		return fmt.Errorf("%w: EXT-X-DEFINE has no value for %q", ErrSyntax, name)
	}
	if r.p.Variables == nil {
		r.p.Variables = map[string]string{}
	}
	r.p.Variables[name] = value
	return nil
}

// expand puts in the values of variables. One that is not defined is an error.
func (r *reader) expand(s string) (string, error) {
	if !strings.Contains(s, "{$") {
		return s, nil
	}
	var err error
	s = variable.ReplaceAllStringFunc(s, func(ref string) string {
		value, ok := r.p.Variables[ref[2:len(ref)-1]]
		if !ok {
			err = fmt.Errorf("%s is not defined", ref)
		}
		return value
	})
	return s, err
}
