package caddymodule

import (
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/tokens"
)

// listedTemplate is a template that a served MPD listed.
type listedTemplate struct {
	template
	presentation *presentation
	by           string // the path of the MPD
}

// dir is the directory that holds all that the template matches, some of it in
// directories of their own.
func (t *template) dir() string { return t.prefix[:strings.LastIndexByte(t.prefix, '/')+1] }

// matches says whether an escaped path is one of the template's.
func (t *template) matches(path string) bool {
	digits, ok := strings.CutPrefix(path, t.prefix)
	if !ok {
		return false
	}
	if digits, ok = strings.CutSuffix(digits, t.suffix); !ok || len(digits) < t.width || len(digits) > 20 {
		return false
	}
	return strings.Trim(digits, "0123456789") == "" && (len(digits) == t.width || digits[0] != '0' || len(digits) == 1)
}

// learnMPD remembers what the MPD at base lists. Templates stay listed until the
// MPD lists others.
func (c *catalog) learnMPD(p *presentation, base *url.URL, m *mpd, now time.Time) {
	c.mu.Lock()
	by := base.EscapedPath()
	c.dropTemplates(p, by)
	for _, r := range m.resources {
		if path, _, ok := resolve(base, p.host, r.uri); ok {
			p.widen(dirOf(path))
		}
	}
	for _, t := range m.templates {
		dir := t.dir()
		if dir == "/" && strings.Contains(t.suffix, "/") && !p.covers(dir) {
			continue // the passes would cover all of the host
		}
		if p.widen(dir); !p.covers(dir) || !tokens.CoversPath("/", t.prefix+"0"+t.suffix) {
			continue
		}
		at := location{p.host, dir}
		if c.templates == nil {
			c.templates = map[location][]listedTemplate{}
		}
		if len(c.templates[at]) >= maxTemplates {
			continue
		}
		c.templates[at] = append(c.templates[at], listedTemplate{t, p, by})
		if !slices.Contains(p.templateDirs, dir) {
			p.templateDirs = append(p.templateDirs, dir)
		}
	}
	c.mu.Unlock()
	c.learnMedia(p, base, &m.playlist, now)
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
	for depth := 0; depth <= maxTemplateDepth && dir != "/"; depth++ {
		dir = dirOfFile(strings.TrimSuffix(dir, "/"))
		l = c.matchIn(dir, at, l)
	}
	return l
}

// matchIn adds to l what the templates of a directory list at a location.
func (c *catalog) matchIn(dir string, at location, l *listed) *listed {
	for _, t := range c.templates[location{at.host, dir}] {
		p := t.presentation
		if !t.matches(at.path) || p.forbidden[at.path] || c.playlists[at] != nil || p.playlists[at.path] != nil {
			continue
		}
		if l == nil {
			l = &listed{presentation: p, path: at.path, query: t.query, by: t.by, ranges: map[byteRange]bool{}}
		}
		if l.presentation != p || l.query != t.query {
			l.ambiguous = true
		}
		l.add(byteRange{}, t.encrypted)
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
