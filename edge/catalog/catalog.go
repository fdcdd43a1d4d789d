package catalog

import (
	"crypto/hmac"
	"math"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// Catalog is what the manifests that passed have listed. It is safe for
// concurrent use.
type Catalog struct {
	secret []byte // of the swarm ids

	mu            sync.RWMutex
	presentations *simplelru.LRU[string, *Presentation] // by name
	playlists     map[Location]*Presentation
	segments      map[Location]*Listed
	listed        int                      // weight of segments
	swarms        map[string]*Presentation // by swarm id that was handed out
	templates     templates
	readings      readings
}

// New makes an empty catalog; secret makes its swarm ids unguessable.
func New(secret []byte) *Catalog {
	lru, err := simplelru.NewLRU[string, *Presentation](math.MaxInt, nil) // bounded by trim
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Catalog{
		secret: secret, presentations: lru,
		playlists: map[Location]*Presentation{}, segments: map[Location]*Listed{}, swarms: map[string]*Presentation{}, readings: readings{},
	}
}

// Presentation returns the presentation that the manifest at a location belongs
// to, and puts it into the catalog if it is new. It is nil for a path that no pass
// could cover.
func (c *Catalog) Presentation(host, path string) *Presentation {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.find(host, path)
	if p != nil && !p.known {
		p.known = true
		c.presentations.Add(p.Name(), p)
		c.trim(p)
	}
	return p
}

// Peek is Presentation for a response whose body may turn out to be no manifest: a
// new presentation is not in the catalog yet.
func (c *Catalog) Peek(host, path string) *Presentation {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(host, path)
}

// find returns the presentation of a manifest, a new one if there is none. c.mu is
// held.
func (c *Catalog) find(host, path string) *Presentation {
	path = manifest.CanonicalPath(path)
	if p := c.playlists[Location{host, path}]; p != nil {
		c.presentations.Get(p.Name()) // used now
		return p
	}
	dir := dirOf(path)
	if p, ok := c.presentations.Get(host + dir); ok {
		return p
	}
	if !tokens.CoversPath("/", dir) {
		return nil
	}
	return &Presentation{
		Host: host, Dir: dir, scopes: []string{dir},
		playlists: map[string]*playlist{}, forbidden: map[string]bool{},
	}
}

// Segment returns what is listed at a location, or nil. Every spelling of a path
// is that of its canonical one.
func (c *Catalog) Segment(host, path string) *Listed {
	path = manifest.CanonicalPath(path)
	at := Location{host, path}
	c.mu.RLock()
	l := c.segments[at]
	matched := false
	if l == nil && len(c.templates.byDir) > 0 {
		l = c.templates.match(at, func(p *Presentation) bool {
			return p.forbids(path) || c.playlists[at] != nil || p.playlists[path] != nil
		})
		matched = l != nil
	}
	c.mu.RUnlock()
	if matched {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.templates.keep(at, l)
	}
	return l
}

// Guards reports whether a manifest listed what a server may find at an escaped path,
// however it reads that: escapes decoded once or again, backslashes for slashes, empty
// and dot segments and path parameters left out, any case, dots and spaces dropped at
// the end.
func (c *Catalog) Guards(host, escaped string) bool {
	read := lenient(escaped)
	at := Location{host, (&url.URL{Path: read}).EscapedPath()}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.readings[Location{host, strings.ToLower(read)}] > 0 ||
		c.templates.match(at, func(*Presentation) bool { return false }) != nil
}

// SwarmOf returns the swarm id of p.
func (c *Catalog) SwarmOf(p *Presentation, now time.Time) string {
	epoch := epochOf(now)
	c.mu.RLock()
	if n := len(p.swarms); n > 0 && p.epoch == epoch {
		defer c.mu.RUnlock()
		return p.swarms[n-1]
	}
	c.mu.RUnlock()
	id := swarmID(c.secret, p.Name(), epoch)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !p.known || p.epoch == epoch && len(p.swarms) > 0 {
		return id
	}
	p.epoch = epoch
	p.swarms = append(p.swarms, id)
	if len(p.swarms) > 2 {
		delete(c.swarms, p.swarms[0])
		p.swarms = p.swarms[1:]
	}
	c.swarms[id] = p
	return id
}

// Issued reports whether a swarm id is that of the presentation of the manifest at
// a location, in this epoch or the one before: an edge with the same secret has
// handed it out.
func (c *Catalog) Issued(swarm, host, path string, now time.Time) bool {
	name := host + dirOf(manifest.CanonicalPath(path))
	for _, epoch := range []int64{epochOf(now), epochOf(now) - 1} {
		if hmac.Equal([]byte(swarm), []byte(swarmID(c.secret, name, epoch))) {
			return true
		}
	}
	return false
}

// Restore makes an issued swarm id that of p again.
func (c *Catalog) Restore(swarm string, p *Presentation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.swarms[swarm] == nil {
		c.swarms[swarm] = p
		p.swarms = append([]string{swarm}, p.swarms...)
	}
}

// Unread returns the paths of at most limit playlists of p that no manifest has
// been read of.
func (c *Catalog) Unread(p *Presentation, limit int) []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var paths []string
	for path, s := range p.playlists {
		if s.readAt.IsZero() {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths[:min(len(paths), limit)]
}

// BySwarm returns the presentation of a swarm id that this edge handed out, or
// nil.
func (c *Catalog) BySwarm(id string) *Presentation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.swarms[id]
}

// Bootstrap returns the value of Mesh-Bootstrap for a presentation: the path of
// the session endpoint, the swarm id of now, and the names of viewer tokens in
// URLs. It is "" for arguments that ValidBootstrap refuses.
func (c *Catalog) Bootstrap(p *Presentation, session, token string, now time.Time) string {
	swarm := c.SwarmOf(p, now)
	if v := p.bootstrap.Load(); v != nil && v.session == session && v.swarm == swarm && v.token == token {
		return v.value
	}
	v, err := newBootstrap(session, swarm, token)
	if err != nil {
		return ""
	}
	p.bootstrap.Store(v)
	return v.value
}

// Scopes returns the path prefixes that a pass for p covers.
func (c *Catalog) Scopes(p *Presentation) []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(p.scopes)
}

// Playlists returns the paths of at most limit playlists of p, the shortest first,
// which puts the multivariant playlist before its renditions.
func (c *Catalog) Playlists(p *Presentation, limit int) []string {
	c.mu.RLock()
	paths := make([]string, 0, len(p.playlists))
	for path := range p.playlists {
		paths = append(paths, path)
	}
	c.mu.RUnlock()
	slices.SortFunc(paths, func(a, b string) int {
		if d := len(a) - len(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	return paths[:min(len(paths), limit)]
}

// IsPlaylist reports whether a path is one of a playlist of p.
func (c *Catalog) IsPlaylist(p *Presentation, path string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return p.playlists[path] != nil
}

// Within reports whether a path lies below the directory of a presentation.
func (c *Catalog) Within(host, path string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for dir := dirOf(path); ; dir = dirOf(strings.TrimSuffix(dir, "/")) {
		if found := c.presentations.Contains(host + dir); found || dir == "/" {
			return found
		}
	}
}

// Of returns the presentations of a host.
func (c *Catalog) Of(host string) []*Presentation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	var out []*Presentation
	for _, p := range c.presentations.Values() {
		if p.Host == host {
			out = append(out, p)
		}
	}
	return out
}

// shorten takes the oldest entries from the queue of a playlist while drop
// returns true. c.mu is held.
func (c *Catalog) shorten(s *playlist, drop func(*Listed) bool) {
	n := 0
	for n < len(s.queue) && drop(s.queue[n]) {
		l := s.queue[n]
		if at := (Location{l.Presentation.Host, l.Path}); c.segments[at] == l {
			c.unlist(at)
		}
		n++
	}
	s.queue = slices.Delete(s.queue, 0, n)
}

// list puts what a playlist lists into the catalog. c.mu is held.
func (c *Catalog) list(at Location, l *Listed) {
	if c.segments[at] == nil {
		c.readings.list(at, 1)
	}
	c.segments[at] = l
	l.Presentation.listed += l.weight()
	c.listed += l.weight()
}

// unlist forgets what is listed at a location. c.mu is held.
func (c *Catalog) unlist(at Location) {
	if l := c.segments[at]; l != nil {
		delete(c.segments, at)
		c.readings.list(at, -1)
		l.Presentation.listed -= l.weight()
		c.listed -= l.weight()
	}
}

// trim lets the least recently used presentations go, but never keep nor those that
// have live sessions, until the catalog is within its bounds. c.mu is held.
func (c *Catalog) trim(keep *Presentation) {
	for passed := 0; c.presentations.Len() > maxPresentations || c.listed > maxListed; {
		name, p, _ := c.presentations.GetOldest()
		if p == keep || p.held.Load() > 0 {
			if passed++; passed > c.presentations.Len() {
				return
			}
			c.presentations.Get(name) // to the other end
			continue
		}
		c.presentations.Remove(name)
		p.known = false
		for _, id := range p.swarms {
			delete(c.swarms, id)
		}
		for path := range p.playlists {
			c.dropPlaylist(p, path)
		}
		for path := range p.forbidden {
			c.readings.list(Location{p.Host, path}, -1)
		}
		c.templates.drop(p, "")
	}
}

// dropPlaylist forgets a playlist and what it listed. c.mu is held.
func (c *Catalog) dropPlaylist(p *Presentation, path string) {
	if at := (Location{p.Host, path}); c.playlists[at] == p {
		delete(c.playlists, at)
	}
	if s := p.playlists[path]; s != nil {
		c.shorten(s, func(*Listed) bool { return true })
		delete(p.playlists, path)
	}
	c.templates.drop(p, path)
}
