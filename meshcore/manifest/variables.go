package manifest

import (
	"regexp"
	"strings"
)

// variable is a reference to a variable (draft-pantos-hls-rfc8216bis, section 4.3).
var variable = regexp.MustCompile(`\{\$([A-Za-z0-9_-]+)\}`)

const (
	maxVariables = 64  // of a playlist
	maxValue     = 512 // bytes of a value
)

// variables are those of a playlist (EXT-X-DEFINE).
type variables struct {
	from   *Source
	values map[string]string // nil for none
}

// define takes EXT-X-DEFINE: a variable by value, from the multivariant playlist, or
// from the query of the playlist's own URL. One that has no value there stays
// undefined.
func (v *variables) define(a map[string]string) {
	name, ok := a["NAME"], true
	value := a["VALUE"]
	if name == "" {
		name = a["IMPORT"]
		value, ok = v.from.Imports[name]
	}
	if name == "" {
		name = a["QUERYPARAM"]
		query := v.from.URL.Query()
		value, ok = query.Get(name), query.Has(name)
	}
	if name == "" || !ok || len(value) > maxValue || len(v.values) >= maxVariables {
		return
	}
	if v.values == nil {
		v.values = map[string]string{}
	}
	v.values[name] = value
}

// expand puts in the values of variables; ok is false if one has none.
func (v *variables) expand(s string) (expanded string, ok bool) {
	if !strings.Contains(s, "{$") {
		return s, true
	}
	ok = true
	return variable.ReplaceAllStringFunc(s, func(ref string) string {
		value, is := v.values[ref[2:len(ref)-1]]
		ok = ok && is
		return value
	}), ok
}

// attributes reads an attribute list and puts in the values of variables. An
// attribute that uses one without a value is left out, and undefined is what it says.
func (v *variables) attributes(s string) (a map[string]string, undefined string) {
	a = attributes(s)
	if !strings.Contains(s, "{$") {
		return a, ""
	}
	unranged := false
	for name, value := range a {
		expanded, ok := v.expand(value)
		if ok {
			a[name] = expanded
			continue
		}
		delete(a, name)
		undefined = max(undefined, value)
		unranged = unranged || strings.HasPrefix(name, "BYTERANGE")
	}
	if unranged {
		delete(a, "URI") // it is not the whole that is meant
	}
	return a, undefined
}
