package catalog

import (
	"maps"
	"slices"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// listedTemplate is a template that a served MPD listed.
type listedTemplate struct {
	manifest.Template
	presentation *Presentation
	by           *playlist // the MPD
}

// templates are the templates of all presentations. The catalog's lock guards
// them.
type templates struct {
	byDir   map[Location][]listedTemplate
	matched map[Location][]*Listed // by templates, one for each query
}

// add lists a template, unless no pass can cover it.
func (ts *templates) add(t listedTemplate) {
	p, dir := t.presentation, t.Dir()
	if !tokens.CoversPath("/", t.Example()) {
		return
	}
	p.widen(dir)
	at := Location{p.Host, dir}
	if ts.byDir == nil {
		ts.byDir = map[Location][]listedTemplate{}
	}
	if len(ts.byDir[at]) >= maxTemplates {
		return
	}
	ts.byDir[at] = append(ts.byDir[at], t)
	if !slices.Contains(p.templateDirs, dir) {
		p.templateDirs = append(p.templateDirs, dir)
	}
}

// drop forgets the templates of p that an MPD listed, nil for all.
func (ts *templates) drop(p *Presentation, by *playlist) {
	p.templateDirs = slices.DeleteFunc(p.templateDirs, func(dir string) bool {
		at := Location{p.Host, dir}
		mine := 0
		left := slices.DeleteFunc(ts.byDir[at], func(t listedTemplate) bool {
			if t.presentation != p {
				return false
			}
			if by == nil || t.by == by {
				return true
			}
			mine++
			return false
		})
		if len(left) == 0 {
			delete(ts.byDir, at)
		} else {
			ts.byDir[at] = left
		}
		return mine == 0
	})
}

// match returns what templates list under a name, or else what they list at the same
// path with another query, or nil. What is listed by several is encrypted only if
// all say so. taken reports whether a presentation must not share what lies there.
func (ts *templates) match(host string, n manifest.Name, taken func(*Presentation) bool) *Listed {
	var found []*Listed
	dir := n.Path
	for depth := 0; depth <= maxTemplateDepth && dir != "/"; depth++ {
		dir = parentOf(dir)
		for _, t := range ts.byDir[Location{host, dir}] {
			p := t.presentation
			if !t.Matches(n.Path) || taken(p) {
				continue
			}
			i := slices.IndexFunc(found, func(l *Listed) bool { return l.Query == t.Query })
			if i < 0 {
				i = len(found)
				found = append(found, &Listed{Presentation: p, Name: manifest.Name{Path: n.Path, Query: t.Query}, Ranges: map[Range]bool{}})
			}
			l := found[i]
			if l.Presentation != p && p.Stopped() {
				l.Withhold()
			}
			l.add(Range{}, t.Encrypted)
		}
	}
	return pick(found, n)
}

// kept returns what keep would return without a change, or nil.
func (ts *templates) kept(at Location, l *Listed) *Listed {
	for _, old := range ts.matched[at] {
		if old.Query == l.Query && old.Presentation == l.Presentation && maps.Equal(old.Ranges, l.Ranges) {
			return old
		}
	}
	return nil
}

// keep returns the one Listed of a name, so that what was seen of its answers
// is kept. It forgets all when there are too many.
func (ts *templates) keep(at Location, l *Listed) *Listed {
	if old := ts.kept(at, l); old != nil {
		return old
	}
	here := ts.matched[at]
	if i := slices.IndexFunc(here, func(old *Listed) bool { return old.Query == l.Query }); i >= 0 {
		if here[i].Withheld() {
			l.Withhold()
		}
		here = slices.Delete(slices.Clone(here), i, i+1)
	}
	if ts.matched == nil || len(ts.matched) >= maxListedEach || len(here) >= maxNames {
		ts.matched, here = map[Location][]*Listed{}, nil
	}
	ts.matched[at] = append(here, l)
	return l
}

// parentOf returns the directory that holds a file or a directory.
func parentOf(p string) string {
	p = strings.TrimSuffix(p, "/")
	return p[:strings.LastIndexByte(p, '/')+1]
}
