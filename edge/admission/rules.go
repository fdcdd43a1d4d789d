package admission

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// The values of Rule.Then.
const (
	ThenOn          = "on"           // take part
	ThenReceiveOnly = "receive_only" // take part, and give nothing
	ThenOff         = "off"          // have no session
)

// Rule says how viewers take part that it is about: those who have one of the values of each
// field that has any. What is unknown of a viewer is none of them.
type Rule struct {
	Then       string
	Device     []string // desktop, mobile, tv or server, as the viewer says
	Connection []string // ethernet, wifi or cellular, as the viewer says
	Country    []string // codes, as a locator knows them
	ASN        []uint32 // as a locator knows them
	Site       []string // names of sites
	Content    []string // paths of manifests, where * is anything but a slash, or at either end anything
}

// validate returns what is wrong with a rule.
func (r *Rule) validate() error {
	if !slices.Contains([]string{ThenOn, ThenReceiveOnly, ThenOff}, r.Then) {
		return fmt.Errorf("rule %q: write on, receive_only or off", r.Then)
	}
	for _, f := range []struct {
		name          string
		values, known []string
	}{{"device", r.Device, []string{"desktop", "mobile", "tv", "server"}}, {"connection", r.Connection, []string{"ethernet", "wifi", "cellular"}}} {
		for _, v := range f.values {
			if !slices.Contains(f.known, v) {
				return fmt.Errorf("rule %s: %s %q: write one of %s", r.Then, f.name, v, strings.Join(f.known, ", "))
			}
		}
	}
	for _, c := range r.Country {
		if len(c) != 2 || strings.ToUpper(c) != c {
			return fmt.Errorf("rule %s: country %q: write a code such as DE", r.Then, c)
		}
	}
	for _, c := range r.Content {
		if _, err := path.Match(c, "/"); err != nil || !strings.HasPrefix(c, "/") && !strings.HasPrefix(c, "*") {
			return fmt.Errorf("rule %s: content %q: write paths of manifests, such as /live/*", r.Then, c)
		}
	}
	return nil
}

// about reports whether a rule is about a viewer of a presentation.
func (r *Rule) about(on *Connection, d device, s *Site, presentation string) bool {
	is := func(values []string, v string) bool { return len(values) == 0 || v != "" && slices.Contains(values, v) }
	name := ""
	if s != nil {
		name = s.Name
	}
	return is(r.Device, d.Kind) && is(r.Connection, d.Connection) && is(r.Country, on.place.Country) && is(r.Site, name) &&
		(len(r.ASN) == 0 || on.place.ASN != 0 && slices.Contains(r.ASN, on.place.ASN)) &&
		(len(r.Content) == 0 || slices.ContainsFunc(r.Content, func(p string) bool { return fits(p, presentation) }))
}

// fits reports whether a path fits a pattern of Rule.Content.
func fits(pattern, p string) bool {
	begins, open := strings.CutSuffix(pattern, "*")
	ends, late := strings.CutPrefix(pattern, "*")
	switch {
	case open && late && strings.Count(pattern, "*") == 2:
		return strings.Contains(p, strings.Trim(pattern, "*"))
	case open && strings.Count(pattern, "*") == 1:
		return strings.HasPrefix(p, begins)
	case late && strings.Count(pattern, "*") == 1:
		return strings.HasSuffix(p, ends)
	}
	ok, _ := path.Match(pattern, p)
	return ok
}
