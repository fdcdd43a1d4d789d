package admission

import (
	"slices"
	"strings"

	"github.com/viewmesh/viewmesh/tokens"
)

// maxScope is how many prefixes a pass takes.
const maxScope = 16

// intersect returns the prefixes that cover what both of two lists of prefixes
// cover, at most as many as a pass takes.
func intersect(a, b []string) []string {
	var out []string
	for _, x := range a {
		for _, y := range b {
			both := ""
			switch {
			case tokens.CoversPath(y, x):
				both = x
			case tokens.CoversPath(x, y):
				both = y
			}
			if both != "" && !slices.Contains(out, both) && len(out) < maxScope {
				out = append(out, both)
			}
		}
	}
	return out
}

// group names the peers that may meet: those with the same part of a
// presentation, whose scopes are whole. It is "" for all of it, however much that
// is by now.
func group(whole, allowed []string) string {
	for _, s := range whole {
		if !slices.ContainsFunc(allowed, func(a string) bool { return tokens.CoversPath(a, s) }) {
			part := intersect(whole, allowed)
			slices.Sort(part)
			return strings.Join(part, " ")
		}
	}
	return ""
}
