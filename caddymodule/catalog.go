package caddymodule

import (
	"container/list"
	"crypto/sha256"
	"net/url"
	"path"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// Bounds of the catalog. What falls out is no longer shared until a manifest
// lists it again; playback does not notice.
const (
	maxPresentations = 4096    // remembered at once; the least recently used goes first
	maxListed        = 1 << 18 // segments in all presentations
	maxListedEach    = 1 << 16 // segments of one presentation
	maxPlaylists     = 256     // playlists of one presentation
	maxForbidden     = 4096    // key URIs and the like of one presentation
	maxScopes        = 16      // directories of one presentation; tokens.Pass takes no more
	// liveGrace is how long a segment stays listed after the last playlist of a
	// live presentation that listed it.
	liveGrace = 10 * time.Minute
)

// catalog is what the manifests that passed have listed. It is safe for
// concurrent use.
type catalog struct {
	mu            sync.RWMutex
	presentations map[string]*list.Element // by key, of *presentation
	used          *list.List               // most recently used first
	playlists     map[location]*presentation
	segments      map[location]*listed
	listed        int                           // weight of segments
	swarms        map[string]*presentation      // by swarm id that was given out
	secret        []byte                        // of the swarm ids
	templates     map[location][]listedTemplate // by directory
	matched       map[location]*listed          // by templates
}

// location is a host and an escaped path.
type location struct{ host, path string }

// presentation is one stream at one host.
type presentation struct {
	host string
	dir  string // directory of the multivariant playlist, with slash at the end

	egress  atomic.Int64 // bytes of segment bodies sent
	stopped atomic.Pointer[string]
	// adsDiffer says that viewers got different ads in one playlist.
	adsDiffer atomic.Bool

	lastBootstrap atomic.Pointer[bootstrapValue]

	// The rest is under catalog.mu.
	scopes    []string
	variables map[string]string          // of the multivariant playlist
	playlists map[string]*servedPlaylist // by path
	forbidden map[string]bool            // paths that are never shared
	listed    int                        // weight of its segments
	// templateDirs are the directories in catalog.templates with templates of it.
	templateDirs []string
	swarms       []string // swarm ids that were given out, newest last
	epoch        int64    // of the newest
}

// servedPlaylist is what one playlist listed.
type servedPlaylist struct {
	sum   [32]byte  // of the body last read
	queue []*listed // in the order of their last listing, for live
	ended bool
	ads   map[int64]string // URIs of ads by sequence number
	full  bool             // it was read in full once
	hasAd bool             // it had an ad once
}

// listed is a path that a playlist listed as a segment, a part or an init
// section.
type listed struct {
	presentation *presentation
	path         string
	at           time.Time   // last listing
	query        string      // the query it was listed with
	ambiguous    bool        // listed with two queries by one playlist: never shared
	withheld     atomic.Bool // an answer was seen that may not be shared
	by           string      // the playlist that listed it last
	ad           bool        // part of an advertisement

	// ranges are the byte ranges that are listed, the zero value for the whole
	// resource; true where a key covers it.
	ranges map[byteRange]bool
	// hints are the ranges that a playlist hinted at and none has listed.
	hints map[byteRange]bool
}

// byteRange is a part of a resource; length 0 means the whole of it.
type byteRange struct{ offset, length int64 }

// newCatalog makes an empty catalog; secret makes its swarm ids unguessable.
func newCatalog(secret []byte) *catalog {
	return &catalog{
		secret:        secret,
		swarms:        map[string]*presentation{},
		presentations: map[string]*list.Element{},
		used:          list.New(),
		playlists:     map[location]*presentation{},
		segments:      map[location]*listed{},
	}
}

// key names the presentation among all, and for people.
func (p *presentation) key() string { return p.host + p.dir }

// stop ends sharing of p for good; it reports whether this call did.
func (p *presentation) stop(why string) bool { return p.stopped.CompareAndSwap(nil, &why) }

// covers reports whether the passes of p cover a path. c.mu is held.
func (p *presentation) covers(path string) bool {
	return slices.ContainsFunc(p.scopes, func(s string) bool { return tokens.CoversPath(s, path) })
}

// dirOf is the directory of an escaped path, with slash at the end.
func dirOf(p string) string {
	d := path.Dir(p)
	if !strings.HasPrefix(d, "/") {
		return "/"
	}
	if d != "/" {
		d += "/"
	}
	return d
}

// presentation gives the presentation that the manifest at a location belongs
// to, and makes it where there is none. It is nil for a path that no pass could
// cover.
func (c *catalog) presentation(host, path string) *presentation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.playlists[location{host, path}]; p != nil {
		c.touch(p)
		return p
	}
	return c.open(host, dirOf(path))
}

// open gives the presentation of a directory. c.mu is held.
func (c *catalog) open(host, dir string) *presentation {
	key := host + dir
	if e := c.presentations[key]; e != nil {
		c.used.MoveToFront(e)
		return e.Value.(*presentation)
	}
	if !tokens.CoversPath("/", dir) {
		return nil
	}
	p := &presentation{
		host: host, dir: dir, scopes: []string{dir},
		playlists: map[string]*servedPlaylist{}, forbidden: map[string]bool{},
	}
	c.presentations[key] = c.used.PushFront(p)
	c.trim(p)
	return p
}

// find gives the presentation with a key, or nil.
func (c *catalog) find(key string) *presentation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	if e := c.presentations[key]; e != nil {
		return e.Value.(*presentation)
	}
	return nil
}

// importsOf gives the variables of the multivariant playlist of p.
func (c *catalog) importsOf(p *presentation) map[string]string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return p.variables
}

// scopesOf gives the path prefixes that a pass for p covers.
func (c *catalog) scopesOf(p *presentation) []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(p.scopes)
}

// within says whether a path lies below the directory of a presentation.
func (c *catalog) within(host, path string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for dir := dirOf(path); ; dir = dirOf(strings.TrimSuffix(dir, "/")) {
		if c.presentations[host+dir] != nil || dir == "/" {
			return c.presentations[host+dir] != nil
		}
	}
}

// all gives the presentations of a host.
func (c *catalog) all(host string) []*presentation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []*presentation
	for e := c.used.Front(); e != nil; e = e.Next() {
		if p := e.Value.(*presentation); p.host == host {
			out = append(out, p)
		}
	}
	return out
}

// touch marks p as used. c.mu is held.
func (c *catalog) touch(p *presentation) {
	if e := c.presentations[p.key()]; e != nil {
		c.used.MoveToFront(e)
	}
}

// segment gives what is listed at a location. What it points to is not changed
// afterwards; a new listing makes a new one.
func (c *catalog) segment(host, path string) *listed {
	at := location{host, path}
	c.mu.RLock()
	l := c.segments[at]
	matched := false
	if l == nil && len(c.templates) > 0 {
		l = c.matchTemplate(at)
		matched = l != nil
	}
	c.mu.RUnlock()
	if matched {
		return c.remembered(at, l)
	}
	return l
}

// known reports whether the playlist at path was read with just this body, and
// remembers that it is being read now.
func (c *catalog) known(p *presentation, path string, body []byte, now time.Time) bool {
	sum := sha256.Sum256(body)
	c.mu.Lock()
	defer c.mu.Unlock()
	s := p.playlists[path]
	if s == nil {
		if len(p.playlists) >= maxPlaylists {
			return true
		}
		s = &servedPlaylist{}
		p.playlists[path] = s
	}
	c.touch(p)
	if s.sum == sum {
		return true
	}
	s.sum = sum
	return false
}

// learnMultivariant remembers the renditions of a multivariant playlist as
// belonging to p.
func (c *catalog) learnMultivariant(p *presentation, pl *manifest.Playlist) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.variables = pl.Variables
	for _, u := range pl.Playlists {
		path, _, ok := manifest.Local(u, p.host)
		if !ok || !tokens.CoversPath("/", path) {
			continue
		}
		at := location{p.host, path}
		if len(p.playlists) >= maxPlaylists {
			break
		}
		if old := c.playlists[at]; old != nil && old != p {
			continue // the first multivariant playlist that names it has it
		}
		if dir := dirOf(path); !p.covers(dir) && len(p.scopes) < maxScopes {
			p.scopes = append(p.scopes, dir)
		}
		c.playlists[at] = p
		if p.playlists[path] == nil {
			p.playlists[path] = &servedPlaylist{}
		}
	}
	c.forbid(p, pl.Forbidden)
}

// forbid keeps URLs from ever being shared within p. c.mu is held.
func (c *catalog) forbid(p *presentation, urls []*url.URL) {
	for _, u := range urls {
		path, _, ok := manifest.Local(u, p.host)
		if !ok || p.forbidden[path] || len(p.forbidden) >= maxForbidden {
			continue
		}
		p.forbidden[path] = true
		c.unlist(location{p.host, path})
	}
}

// learnMedia remembers what the media playlist at base lists, or what an MPD lists
// one by one; delta is set if what is old is left out.
func (c *catalog) learnMedia(p *presentation, base *url.URL, m *manifest.Listing, delta bool, now time.Time) {
	fresh := newReading(p, base, now, len(m.Entries))
	for i := range m.Entries {
		r := &m.Entries[i]
		path, query, ok := manifest.Local(r.URL, p.host)
		if !ok {
			continue
		}
		l := fresh.entry(path, query)
		if l.query != query {
			l.ambiguous = true
		}
		l.ad = l.ad || r.Ad
		l.add(byteRange{r.Offset, r.Length}, r.Encrypted)
	}
	noteHints(fresh, m)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.forbid(p, m.Forbidden)
	s := p.playlists[base.EscapedPath()]
	if s == nil || (delta && !s.full) {
		return // p was let go meanwhile, or what this leaves out is not known
	}
	s.ended, s.full = m.Ended, true
	noteAds(p, s, m)
	s.queue = slices.DeleteFunc(s.queue, func(l *listed) bool { return fresh.paths[l.path] != nil })
	for _, l := range fresh.order {
		at := location{p.host, l.path}
		if p.forbidden[l.path] || p.playlists[l.path] != nil || c.playlists[at] != nil || !p.covers(l.path) {
			continue
		}
		old := c.segments[at]
		s.hasAd = s.hasAd || l.ad
		if delta && s.hasAd && (old == nil || old.ad || len(old.ranges) == 0) {
			l.ad = true // where the ad began may have been left out
		}
		if old != nil {
			if old.by != l.by && old.presentation == p {
				l.merge(old)
			}
			l.withheld.Store(old.withheld.Load())
			c.unlist(at)
		}
		c.segments[at] = l
		p.listed += l.weight()
		c.listed += l.weight()
		s.queue = append(s.queue, l)
	}
	if !s.ended {
		c.shorten(s, func(l *listed) bool { return now.Sub(l.at) > liveGrace })
	}
	c.shorten(s, func(*listed) bool { return p.listed > maxListedEach })
	c.trim(p)
}

// shorten takes the oldest entries from the queue of a playlist while drop
// says so. c.mu is held.
func (c *catalog) shorten(s *servedPlaylist, drop func(*listed) bool) {
	n := 0
	for n < len(s.queue) && drop(s.queue[n]) {
		l := s.queue[n]
		if at := (location{l.presentation.host, l.path}); c.segments[at] == l {
			c.unlist(at)
		}
		n++
	}
	s.queue = slices.Delete(s.queue, 0, n)
}

// unlist forgets what is listed at a location. c.mu is held.
func (c *catalog) unlist(at location) {
	if l := c.segments[at]; l != nil {
		delete(c.segments, at)
		l.presentation.listed -= l.weight()
		c.listed -= l.weight()
	}
}

// trim lets the least recently used presentations go, but never keep, until the
// catalog is within its bounds. c.mu is held.
func (c *catalog) trim(keep *presentation) {
	for c.used.Len() > maxPresentations || c.listed > maxListed {
		e := c.used.Back()
		p := e.Value.(*presentation)
		if p == keep {
			return
		}
		c.used.Remove(e)
		delete(c.presentations, p.key())
		for _, id := range p.swarms {
			delete(c.swarms, id)
		}
		for path, s := range p.playlists {
			if at := (location{p.host, path}); c.playlists[at] == p {
				delete(c.playlists, at)
			}
			c.shorten(s, func(*listed) bool { return true })
		}
		c.dropTemplates(p, "")
	}
}

// add notes that the resource, or a byte range of it, is listed. What is listed
// twice is encrypted only if it is so each time.
func (l *listed) add(r byteRange, encrypted bool) {
	before, twice := l.ranges[r]
	l.ranges[r] = encrypted && (!twice || before)
}

// merge adds what another playlist listed of the same resource.
func (l *listed) merge(old *listed) {
	for r, encrypted := range old.ranges {
		l.add(r, encrypted)
	}
	l.ambiguous = l.ambiguous || old.ambiguous
	l.ad = l.ad || old.ad
}

// weight is what l counts against the bounds.
func (l *listed) weight() int { return len(l.ranges) + len(l.hints) }
