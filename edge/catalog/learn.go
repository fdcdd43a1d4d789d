package catalog

import (
	"crypto/sha256"
	"net/url"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// liveGrace is how long a segment stays listed after the last playlist of a
// live presentation that listed it.
const liveGrace = 10 * time.Minute

// local returns the canonical path and the query of a URL that lies on a host,
// over HTTP.
func local(u *url.URL, host string) (path, query string, ok bool) {
	path, query, ok = manifest.Local(u, host)
	return manifest.CanonicalPath(path), query, ok
}

// Unchanged reports whether the playlist of p at path was read with just this
// body, and remembers that it is being read now. Of too many playlists it forgets
// the one that was read longest ago.
func (c *Catalog) Unchanged(p *Presentation, path string, body []byte, now time.Time) bool {
	sum := sha256.Sum256(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.presentations.Get(p.Name()) // used now
	path = manifest.CanonicalPath(path)
	s := p.playlists[path]
	if s == nil {
		c.makeRoom(p)
		s = &playlist{}
		p.playlists[path] = s
	}
	if s.readAt = now; s.sum == sum {
		return true
	}
	s.sum = sum
	return false
}

// makeRoom forgets the playlist of p that was read longest ago if there are too
// many. c.mu is held.
func (c *Catalog) makeRoom(p *Presentation) {
	if len(p.playlists) < maxPlaylists {
		return
	}
	oldest := ""
	for path, s := range p.playlists {
		if o := p.playlists[oldest]; o == nil || s.readAt.Before(o.readAt) {
			oldest = path
		}
	}
	c.dropPlaylist(p, oldest)
}

// Learn reads a manifest of p at base (path and query) and remembers what it
// lists. viewer are the names of query parameters that are the viewer's. It returns
// why media that the manifest names is left out. The error wraps
// manifest.ErrPlaylist or manifest.ErrMPD: nothing in it is shared.
func (c *Catalog) Learn(p *Presentation, base *url.URL, body []byte, viewer []string, now time.Time) ([]manifest.Omission, error) {
	from := *base
	from.Host = p.Host
	if manifest.IsXML(body) {
		m, err := manifest.ReadMPD(body, &from)
		if err != nil {
			return nil, err
		}
		c.learnMPD(p, &from, m, viewer, now)
		return m.Omissions, nil
	}
	pl, err := manifest.ReadHLS(body, manifest.Source{URL: &from, Imports: c.variablesOf(p)})
	if err != nil {
		return nil, err
	}
	if pl.Multivariant {
		c.learnMultivariant(p, &from, pl)
	} else {
		c.learnMedia(p, &from, &pl.Listing, pl.Skipped > 0, viewer, now)
	}
	if len(pl.Interstitials) > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.adopt(p, pl.Interstitials, true)
	}
	return pl.Omissions, nil
}

// variablesOf returns the variables of the multivariant playlist of p.
func (c *Catalog) variablesOf(p *Presentation) map[string]string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return p.variables
}

// forbid keeps URLs from ever being shared within p. c.mu is held.
func (c *Catalog) forbid(p *Presentation, urls []*url.URL) {
	for _, u := range urls {
		path, _, ok := local(u, p.Host)
		if !ok || p.forbidden[path] || len(p.forbidden) >= maxForbidden {
			continue
		}
		p.forbidden[path] = true
		c.readings.list(Location{p.Host, path}, 1)
		c.unlist(Location{p.Host, path})
		if plain := manifest.SingleSlashes(path); plain != path { // what an upstream takes it for
			if !p.forbidden[plain] {
				p.forbidden[plain] = true
				c.readings.list(Location{p.Host, plain}, 1)
			}
			c.unlist(Location{p.Host, plain})
		}
	}
}

// learnMultivariant remembers the renditions of the multivariant playlist at base as
// belonging to p.
func (c *Catalog) learnMultivariant(p *Presentation, base *url.URL, pl *manifest.Playlist) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := p.playlists[base.EscapedPath()]
	ad := s != nil && s.ad
	if !ad {
		p.variables = pl.Variables
	}
	c.adopt(p, pl.Playlists, ad)
	c.forbid(p, pl.Forbidden)
}

// adopt remembers playlists as belonging to p; ad is set if all that they list is
// ads. c.mu is held.
func (c *Catalog) adopt(p *Presentation, urls []*url.URL, ad bool) {
	for _, u := range urls {
		path, _, ok := local(u, p.Host)
		if !ok || !tokens.CoversPath("/", path) {
			continue
		}
		if len(p.playlists) >= maxPlaylists {
			break
		}
		at := Location{p.Host, path}
		if old := c.playlists[at]; old != nil && old != p {
			continue // the first multivariant playlist that names it has it
		}
		p.widen(dirOf(path))
		c.playlists[at] = p
		if p.playlists[path] == nil {
			p.playlists[path] = &playlist{ad: ad}
		}
	}
}

// learnMPD remembers what the MPD at base lists. Templates stay listed until the
// MPD lists others.
func (c *Catalog) learnMPD(p *Presentation, base *url.URL, m *manifest.MPD, viewer []string, now time.Time) {
	by := manifest.CanonicalPath(base.EscapedPath())
	c.mu.Lock()
	c.templates.drop(p, by)
	for _, e := range m.Entries {
		if path, _, ok := local(e.URL, p.Host); ok {
			p.widen(dirOf(path))
		}
	}
	for _, t := range m.Templates {
		t.Query = manifest.CanonicalQuery(t.Query, viewer)
		c.templates.add(listedTemplate{t, p, by})
	}
	c.mu.Unlock()
	c.learnMedia(p, base, &m.Listing, false, viewer, now)
}

// learnMedia remembers what the media playlist at base lists, or what an MPD lists
// one by one; delta is set if what is old is left out.
func (c *Catalog) learnMedia(p *Presentation, base *url.URL, m *manifest.Listing, delta bool, viewer []string, now time.Time) {
	by := manifest.CanonicalPath(base.EscapedPath())
	fresh := newListing(p, by, m, viewer, now)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forbid(p, m.Forbidden)
	s := p.playlists[by]
	if s == nil || (delta && !s.full) {
		return // p was let go meanwhile, or what this leaves out is unknown
	}
	s.ended, s.full = m.Ended, true
	p.compareAds(s, m)
	s.queue = slices.DeleteFunc(s.queue, func(l *Listed) bool { return fresh.paths[l.Path] != nil })
	for _, l := range fresh.order {
		at := Location{p.Host, l.Path}
		if p.forbids(l.Path) || p.playlists[l.Path] != nil || c.playlists[at] != nil || !p.covers(l.Path) {
			continue
		}
		old := c.segments[at]
		l.Ad = l.Ad || s.ad
		s.hasAd = s.hasAd || l.Ad
		if delta && s.hasAd && (old == nil || old.Ad || len(old.Ranges) == 0) {
			l.Ad = true // where the ad began may have been left out
		}
		if old != nil {
			if old.by != l.by && old.Presentation == p {
				l.merge(old)
			}
			l.Varies = old.Varies || l.Query != old.Query
			l.withheld.Store(old.withheld.Load())
			c.unlist(at)
		}
		c.list(at, l)
		s.queue = append(s.queue, l)
	}
	if !s.ended {
		c.shorten(s, func(l *Listed) bool { return now.Sub(l.at) > liveGrace })
	}
	c.shorten(s, func(*Listed) bool { return p.listed > maxListedEach })
	c.trim(p)
}

// newListing returns what a media playlist lists on the host of p, and what it
// only hints at.
func newListing(p *Presentation, by string, m *manifest.Listing, viewer []string, now time.Time) *listing {
	out := &listing{p, by, now, map[string]*Listed{}, make([]*Listed, 0, len(m.Entries))}
	for _, e := range m.Entries {
		path, query, ok := local(e.URL, p.Host)
		if !ok {
			continue
		}
		query = manifest.CanonicalQuery(query, viewer)
		l := out.entry(path, query)
		l.Ambiguous = l.Ambiguous || l.Query != query
		l.Ad = l.Ad || e.Ad
		l.add(Range{e.Offset, e.Length}, e.Encrypted)
	}
	for _, h := range m.Hints {
		path, query, ok := local(h.URL, p.Host)
		if !ok {
			continue
		}
		query = manifest.CanonicalQuery(query, viewer)
		l := out.entry(path, query)
		which := Range{h.Offset, h.Length}
		if _, is := l.Ranges[which]; l.Hints == nil && l.Query == query && !is {
			l.Hints = map[Range]bool{which: true}
		}
	}
	return out
}
