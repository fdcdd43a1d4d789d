package catalog

import (
	"crypto/sha256"
	"fmt"
	"net/url"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/webtorrent"
	"github.com/viewmesh/viewmesh/tokens"
)

// liveGrace is how long a segment stays listed after the last playlist of a
// live presentation that listed it.
const liveGrace = 10 * time.Minute

// local returns the name of the resource at a URL that lies on a host, over HTTP.
func local(u *url.URL, host string, who *manifest.Identity) (n manifest.Name, ok bool) {
	path, query, ok := manifest.Local(u, host)
	if !ok {
		return n, false
	}
	return who.Name(path, query), true
}

// Unchanged reports whether the playlist of p of a name was read with just this
// body, and remembers that it is being read now. Of too many playlists it forgets
// the one that was read longest ago.
func (c *Catalog) Unchanged(p *Presentation, n manifest.Name, body []byte, now time.Time) bool {
	sum := sha256.Sum256(body)
	c.mu.RLock()
	s := p.playlists[n]
	same := s != nil && s.sum == sum
	c.mu.RUnlock()
	if same {
		s.readAt.Store(now.UnixNano())
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s = p.playlists[n]; s == nil {
		c.makeRoom(p)
		s = &playlist{}
		p.playlists[n] = s
		c.hashes.changes++
	}
	s.readAt.Store(now.UnixNano())
	if s.sum == sum {
		return true // another has read it meanwhile
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
	var oldest manifest.Name
	for n, s := range p.playlists {
		if o := p.playlists[oldest]; o == nil || s.readAt.Load() < o.readAt.Load() {
			oldest = n
		}
	}
	c.dropPlaylist(p, oldest)
}

// Learn reads a manifest of p at base (path and query) and remembers what it
// lists. who says what of its URLs is the viewer's. It returns why media that the
// manifest names is left out. The error wraps manifest.ErrPlaylist or
// manifest.ErrMPD: nothing in it is shared.
func (c *Catalog) Learn(p *Presentation, base *url.URL, body []byte, who *manifest.Identity, now time.Time) ([]manifest.Omission, error) {
	from := *base
	from.Host = p.Host
	known := *who
	known.Params = p.Params(who.Params)
	r := reading{c, p, who.Of(base), &known, now}
	if manifest.IsXML(body) {
		m, err := manifest.ReadMPD(body, &from)
		if err != nil {
			return nil, err
		}
		r.mpd(m)
		return m.Omissions, nil
	}
	by := fmt.Sprint(known.Params, known.Path)
	before := c.tailOf(p, r.by)
	added := before.reduce(by, body)
	text := added
	if added == nil {
		text, before = body, nil
	}
	pl, err := manifest.ReadHLS(text, manifest.Source{URL: &from, Imports: c.variablesOf(p)})
	if err != nil {
		return nil, err
	}
	dropped := 0
	if pl.Multivariant {
		r.multivariant(pl)
	} else {
		dropped = r.media(&pl.Listing, extent{delta: pl.Skipped > 0, added: added != nil, tail: tailOf(before, by, body)})
	}
	if dropped > 0 {
		pl.Omissions = append(pl.Omissions, manifest.Omission{Reason: OmitOldest, Count: dropped})
	}
	if len(pl.Interstitials) > 0 {
		c.mu.Lock()
		defer c.mu.Unlock()
		r.adopt(pl.Interstitials, true)
	}
	return pl.Omissions, nil
}

// OmitOldest is why segments are left out of what a presentation lists: there are more
// than are kept, and these were listed first.
const OmitOldest = "too many segments of one presentation"

// extent is how much of a playlist a listing is.
type extent struct {
	delta bool  // what is old is left out, as EXT-X-SKIP does
	added bool  // what was read before is left out, and still listed
	tail  *tail // of the whole, nil for none
}

// tailOf returns the tail of a playlist of p, or nil.
func (c *Catalog) tailOf(p *Presentation, by manifest.Name) *tail {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if s := p.playlists[by]; s != nil {
		return s.tail
	}
	return nil
}

// reading is the reading of one manifest.
type reading struct {
	*Catalog
	p   *Presentation
	by  manifest.Name // of the manifest
	who *manifest.Identity
	now time.Time
}

// variablesOf returns the variables of the multivariant playlist of p.
func (c *Catalog) variablesOf(p *Presentation) map[string]string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return p.variables
}

// forbid keeps URLs from ever being shared within p. c.mu is held.
func (r *reading) forbid(urls []*url.URL) {
	p := r.p
	for _, u := range urls {
		n, ok := local(u, p.Host, r.who)
		if !ok || p.forbidden[n] || len(p.forbidden) >= maxForbidden {
			continue
		}
		plain := manifest.Name{Path: manifest.SingleSlashes(n.Path), Query: n.Query} // what an upstream takes it for
		for _, n := range []manifest.Name{n, plain} {
			if !p.forbidden[n] {
				p.forbidden[n] = true
				r.readings.list(Location{p.Host, n.Path}, 1)
			}
			if l := r.named(p.Host, n); l != nil {
				r.unlist(l)
			}
		}
	}
}

// multivariant remembers the renditions of a multivariant playlist as belonging to
// its presentation.
func (r *reading) multivariant(pl *manifest.Playlist) {
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.p.playlists[r.by]
	ad := s != nil && s.ad
	if !ad {
		r.p.variables = pl.Variables
	}
	if streams := webtorrent.Streams(pl); s != nil && !slices.Equal(s.streams, streams) {
		s.streams = streams
		r.hashes.changes++
	}
	r.adopt(pl.Playlists, ad)
	r.forbid(pl.Forbidden)
}

// adopt remembers playlists as belonging to p; ad is set if all that they list is
// ads. c.mu is held.
func (r *reading) adopt(urls []*url.URL, ad bool) {
	p := r.p
	for _, u := range urls {
		n, ok := local(u, p.Host, r.who)
		if !ok || !tokens.CoversPath("/", n.Path) {
			continue
		}
		if len(p.playlists) >= maxPlaylists {
			break
		}
		at := Location{p.Host, n.Path}
		if old := r.playlists[at]; old != nil && old != p {
			continue // the first multivariant playlist that names it has it
		}
		p.widen(dirOf(n.Path))
		r.playlists[at] = p
		if p.playlists[n] == nil {
			p.playlists[n] = &playlist{ad: ad}
			r.hashes.changes++
		}
	}
}

// mpd remembers what an MPD lists. Templates stay listed until the MPD lists
// others.
func (r *reading) mpd(m *manifest.MPD) {
	r.mu.Lock()
	if s := r.p.playlists[r.by]; s != nil {
		r.templates.drop(r.p, s)
		for _, t := range m.Templates {
			t.Query = manifest.CanonicalQuery(t.Query, r.who.Params)
			r.templates.add(listedTemplate{t, r.p, s})
		}
	}
	r.mu.Unlock()
	r.media(&m.Listing, extent{})
}

// media remembers what a media playlist lists, or what an MPD lists one by one. It
// returns how many segments were let go because there are too many.
func (r *reading) media(m *manifest.Listing, is extent) (dropped int) {
	fresh := r.listing(m)
	p := r.p
	r.mu.Lock()
	defer r.mu.Unlock()
	r.forbid(m.Forbidden)
	s := p.playlists[r.by]
	if s == nil || (is.delta && !s.full) {
		return 0 // p was let go meanwhile, or what this leaves out is unknown
	}
	s.ended, s.full = m.Ended, true
	switch {
	case is.added && s.tail == nil: // what was read before was let go meanwhile
		s.forget()
	case !is.delta:
		s.tail = is.tail
	}
	p.compareAds(s, m)
	if is.added { // what the last reading listed is listed still
		for _, l := range s.queue {
			if !l.at.Before(s.listedAt) {
				l.at = r.now
			}
		}
	}
	if !is.delta {
		s.listedAt = r.now
	}
	s.queue = slices.DeleteFunc(s.queue, func(l *Listed) bool { return fresh.names[l.Name] != nil })
	for _, l := range fresh.order {
		if p.forbids(l.Name) || r.isPlaylist(p, Location{p.Host, l.Path}) || !tokens.CoversPath("/", l.Path) {
			continue
		}
		old := r.named(p.Host, l.Name)
		l.by = s
		l.Ad = l.Ad || s.ad
		s.hasAd = s.hasAd || l.Ad
		if is.delta && s.hasAd && (old == nil || old.Ad || len(old.Ranges) == 0) {
			l.Ad = true // where the ad began may have been left out
		}
		if old != nil {
			if old.by != l.by || is.added {
				l.merge(old)
			} else {
				l.also = old.also
			}
			if old.Withheld() {
				l.Withhold()
			}
			r.unlist(old)
		}
		p.widen(dirOf(l.Path))
		r.list(l)
		s.queue = append(s.queue, l)
	}
	if !s.ended {
		r.shorten(s, func(l *Listed) bool { return r.now.Sub(l.at) > liveGrace })
	}
	dropped = r.shorten(s, func(*Listed) bool { return p.listed > maxListedEach })
	r.trim(p)
	return dropped
}

// listing returns what a media playlist lists on the host of its presentation, and
// what it only hints at.
func (r *reading) listing(m *manifest.Listing) *listing {
	out := &listing{presentation: r.p, at: r.now, names: map[manifest.Name]*Listed{}, order: make([]*Listed, 0, len(m.Entries))}
	for _, e := range m.Entries {
		n, ok := local(e.URL, r.p.Host, r.who)
		if !ok {
			continue
		}
		l := out.entry(n)
		l.Ad = l.Ad || e.Ad
		l.add(Range{e.Offset, e.Length}, e.Encrypted)
	}
	for _, h := range m.Hints {
		n, ok := local(h.URL, r.p.Host, r.who)
		if !ok {
			continue
		}
		l := out.entry(n)
		which := Range{h.Offset, h.Length}
		if _, is := l.Ranges[which]; l.Hints == nil && !is {
			l.Hints = map[Range]bool{which: true}
		}
	}
	r.p.params.compare(out.order)
	return out
}

// Observe takes the root of the digest of a resource of p, or of a range of it, that
// went through whole, and learns from it which parameters are the viewer's. n is the
// name by which it was asked for.
func (c *Catalog) Observe(p *Presentation, n manifest.Name, which Range, root [32]byte) {
	if n.Query == "" || !p.params.observe(n, which, root) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.rename(p)
}

// Depends notes that the bytes of p depend on the parameters that it has learned
// not to count: viewers got different ones.
func (c *Catalog) Depends(p *Presentation) {
	ps := &p.params
	ps.mu.Lock()
	for _, name := range p.Params(nil) {
		ps.seen[name] = &param{counts: true}
	}
	ps.learned.Store(nil)
	ps.mu.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range p.playlists {
		s.forget() // it lists other names from now on
	}
}

// rename gives what p lists the names that it has without learned parameters. c.mu
// is held.
func (c *Catalog) rename(p *Presentation) {
	for _, s := range p.playlists {
		s.forget()
		for i, l := range s.queue {
			query := manifest.CanonicalQuery(l.Query, p.Params(nil))
			if query == l.Query {
				continue
			}
			c.unlist(l)
			n := manifest.Name{Path: l.Path, Query: query}
			same := c.named(p.Host, n)
			if same == nil {
				same = &Listed{Presentation: p, Name: n, Ad: l.Ad, Ranges: l.Ranges, Hints: l.Hints, at: l.at, by: s}
				if l.Withheld() {
					same.Withhold()
				}
				c.list(same)
			}
			s.queue[i] = same
		}
	}
}
