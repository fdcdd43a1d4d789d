package caddymodule

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// listedTemplate is a template that a served MPD listed.
type listedTemplate struct {
	manifest.Template
	presentation *presentation
	by           string // the path of the MPD
}

// learnMPD remembers what the MPD at base lists. Templates stay listed until the
// MPD lists others.
func (c *catalog) learnMPD(p *presentation, base *url.URL, m *manifest.MPD, now time.Time) {
	c.mu.Lock()
	by := base.EscapedPath()
	c.dropTemplates(p, by)
	for i := range m.Entries {
		if path, _, ok := manifest.Local(m.Entries[i].URL, p.host); ok {
			p.widen(dirOf(path))
		}
	}
	for _, t := range m.Templates {
		dir := t.Dir()
		if dir == "/" && strings.Contains(t.Suffix, "/") && !p.covers(dir) {
			continue // the passes would cover all of the host
		}
		if p.widen(dir); !p.covers(dir) || !tokens.CoversPath("/", t.Prefix+"0"+t.Suffix) {
			continue
		}
		at := location{p.host, dir}
		if c.templates == nil {
			c.templates = map[location][]listedTemplate{}
		}
		if len(c.templates[at]) >= manifest.MaxTemplates {
			continue
		}
		c.templates[at] = append(c.templates[at], listedTemplate{t, p, by})
		if !slices.Contains(p.templateDirs, dir) {
			p.templateDirs = append(p.templateDirs, dir)
		}
	}
	c.mu.Unlock()
	c.learnMedia(p, base, &m.Listing, false, now)
}

// widen has the passes of p cover a directory too, while there is room. c.mu is
// held.
func (p *presentation) widen(dir string) {
	if !p.covers(dir) && len(p.scopes) < maxScopes && tokens.CoversPath("/", dir) {
		p.scopes = append(p.scopes, dir)
	}
}

// dropTemplates forgets the templates of p that the MPD at a path listed, "" for
// all. c.mu is held.
func (c *catalog) dropTemplates(p *presentation, by string) {
	p.templateDirs = slices.DeleteFunc(p.templateDirs, func(dir string) bool {
		at := location{p.host, dir}
		mine := 0
		left := slices.DeleteFunc(c.templates[at], func(t listedTemplate) bool {
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
			delete(c.templates, at)
		} else {
			c.templates[at] = left
		}
		return mine == 0
	})
}

// matchTemplate gives what templates list at a location, or nil. What is listed
// by several is encrypted only if all say so, and ambiguous if their queries
// differ or if they belong to two presentations. c.mu is held.
func (c *catalog) matchTemplate(at location) *listed {
	var l *listed
	dir := at.path
	for depth := 0; depth <= manifest.MaxTemplateDepth && dir != "/"; depth++ {
		dir = dirOfFile(strings.TrimSuffix(dir, "/"))
		l = c.matchIn(dir, at, l)
	}
	return l
}

// matchIn adds to l what the templates of a directory list at a location.
func (c *catalog) matchIn(dir string, at location, l *listed) *listed {
	for _, t := range c.templates[location{at.host, dir}] {
		p := t.presentation
		if !t.Matches(at.path) || p.forbidden[at.path] || c.playlists[at] != nil || p.playlists[at.path] != nil {
			continue
		}
		if l == nil {
			l = &listed{presentation: p, path: at.path, query: t.Query, by: t.by, ranges: map[byteRange]bool{}}
		}
		if l.presentation != p || l.query != t.Query {
			l.ambiguous = true
		}
		l.add(byteRange{}, t.Encrypted)
	}
	return l
}

// remembered gives the one listed of a location, so that what was seen of its
// answers is kept. Of what it held it forgets all when there is too much.
func (c *catalog) remembered(at location, l *listed) *listed {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old := c.matched[at]; old != nil {
		if old.presentation == l.presentation && old.query == l.query && old.ambiguous == l.ambiguous && maps.Equal(old.ranges, l.ranges) {
			return old
		}
		l.withheld.Store(old.withheld.Load())
	}
	if c.matched == nil || len(c.matched) >= maxListedEach {
		c.matched = map[location]*listed{}
	}
	c.matched[at] = l
	return l
}

func dirOfFile(path string) string { return path[:strings.LastIndexByte(path, '/')+1] }
