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
	imports map[string]string // of the multivariant playlist
	values  map[string]string // nil for none
}

// define takes EXT-X-DEFINE. A variable that is taken from the query of a viewer's
// own URL gets no value: what it names is not the same for all.
func (v *variables) define(a map[string]string) {
	name, value := a["NAME"], a["VALUE"]
	if name == "" {
		name = a["IMPORT"]
		var ok bool
		if value, ok = v.imports[name]; !ok {
			return
		}
	}
	if name == "" || len(value) > maxValue || len(v.values) >= maxVariables {
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
