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
	by           string // the path of the MPD
}

// templates are the templates of all presentations. The catalog's lock guards
// them.
type templates struct {
	byDir   map[Location][]listedTemplate
	matched map[Location]*Listed // by templates
}

// add lists a template, unless the passes of its presentation cannot cover it.
func (ts *templates) add(t listedTemplate) {
	p, dir := t.presentation, t.Dir()
	if dir == "/" && strings.Contains(strings.TrimPrefix(t.Example(), dir), "/") && !p.covers(dir) {
		return // the passes would cover all of the host
	}
	if p.widen(dir); !p.covers(dir) || !tokens.CoversPath("/", t.Example()) {
		return
	}
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

// drop forgets the templates of p that the MPD at a path listed, "" for all.
func (ts *templates) drop(p *Presentation, by string) {
	p.templateDirs = slices.DeleteFunc(p.templateDirs, func(dir string) bool {
		at := Location{p.Host, dir}
		mine := 0
		left := slices.DeleteFunc(ts.byDir[at], func(t listedTemplate) bool {
			if t.presentation != p {
				return false
			}
			if by == "" || t.by == by {
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

// match returns what templates list at a location, or nil. What is listed by
// several is encrypted only if all say so, and ambiguous if their queries differ
// or if they belong to two presentations. taken reports whether a presentation
// must not share what lies there.
func (ts *templates) match(at Location, taken func(*Presentation) bool) *Listed {
	var l *Listed
	dir := at.Path
	for depth := 0; depth <= maxTemplateDepth && dir != "/"; depth++ {
		dir = parentOf(dir)
		for _, t := range ts.byDir[Location{at.Host, dir}] {
			p := t.presentation
			if !t.Matches(at.Path) || taken(p) {
				continue
			}
			if l == nil {
				l = &Listed{Presentation: p, Path: at.Path, Query: t.Query, by: t.by, Ranges: map[Range]bool{}}
			}
			if l.Presentation != p || l.Query != t.Query {
				l.Ambiguous = true
			}
			l.add(Range{}, t.Encrypted)
		}
	}
	return l
}

// keep returns the one Listed of a location, so that what was seen of its answers
// is kept. It forgets all when there are too many.
func (ts *templates) keep(at Location, l *Listed) *Listed {
	if old := ts.matched[at]; old != nil {
		if old.Presentation == l.Presentation && old.Query == l.Query && old.Ambiguous == l.Ambiguous && maps.Equal(old.Ranges, l.Ranges) {
			return old
		}
		l.withheld.Store(old.withheld.Load())
	}
	if ts.matched == nil || len(ts.matched) >= maxListedEach {
		ts.matched = map[Location]*Listed{}
	}
	ts.matched[at] = l
	return l
}

// parentOf returns the directory that holds a file or a directory.
func parentOf(p string) string {
	p = strings.TrimSuffix(p, "/")
	return p[:strings.LastIndexByte(p, '/')+1]
}
