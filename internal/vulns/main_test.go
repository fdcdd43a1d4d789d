package main

import (
	"strings"
	"testing"
)

// TestList: only what is called counts, once, and only what a library's newer version
// mends is a failure.
func TestList(t *testing.T) {
	const config = `{"config":{"protocol_version":"v1.0.0"}}`
	finding := func(osv, fixed, module, function string) string {
		return `{"finding":{"osv":"` + osv + `","fixed_version":"` + fixed + `","trace":[{"module":"` + module + `","version":"v1.0.0","function":"` + function + `"},{"module":"ours"}]}}`
	}
	for _, c := range []struct {
		name, in, out string
		mendable, bad bool
	}{
		{"nothing found", config, "", false, false},
		{"not called", config + finding("GO-1", "v1.0.1", "lib", ""), "", false, false},
		{"called", config + finding("GO-1", "v1.0.1", "lib", "F") + finding("GO-1", "v1.0.1", "lib", "G"), "GO-1: lib v1.0.0, take v1.0.1\n", true, false},
		{"without a mended version", config + finding("GO-1", "", "lib", "F"), "GO-1: lib v1.0.0, mended in no version\n", false, false},
		{"of the standard library", config + finding("GO-1", "v1.1.0", "stdlib", "F"), "GO-1: the standard library, v1.0.0, mended in v1.1.0\n", false, false},
		{"no output", "", "", false, true},
		{"no JSON", config + "usage", "", false, true},
	} {
		var out strings.Builder
		mendable, err := list(strings.NewReader(c.in), &out)
		if mendable != c.mendable || (err != nil) != c.bad || out.String() != c.out {
			t.Errorf("%s: %v, %v, %q", c.name, mendable, err, out.String())
		}
	}
}
