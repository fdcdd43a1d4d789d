package caddymodule

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

// define takes EXT-X-DEFINE. A variable that is taken from the query of a viewer's
// own URL gets no value: what it names is not the same for all.
func (r *lineReader) define(a map[string]string) {
	name, value := a["NAME"], a["VALUE"]
	if name == "" {
		name = a["IMPORT"]
		var ok bool
		if value, ok = r.imports[name]; !ok {
			return
		}
	}
	if name == "" || len(value) > maxValue || len(r.p.variables) >= maxVariables {
		return
	}
	if r.p.variables == nil {
		r.p.variables = map[string]string{}
	}
	r.p.variables[name] = value
}

// expand puts in the values of variables. A playlist that uses one without a value
// is refused, because what it means is not known.
func (r *lineReader) expand(s string) string {
	if !strings.Contains(s, "{$") {
		return s
	}
	return variable.ReplaceAllStringFunc(s, func(ref string) string {
		value, ok := r.p.variables[ref[2:len(ref)-1]]
		r.p.undefined = r.p.undefined || !ok
		return value
	})
}

// importsOf gives the variables of the multivariant playlist of p.
func (c *catalog) importsOf(p *presentation) map[string]string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return p.variables
}
