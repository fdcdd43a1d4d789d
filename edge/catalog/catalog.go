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
	"github.com/viewmesh/viewmesh/meshcore/webtorrent"
	"github.com/viewmesh/viewmesh/tokens"
)

// Catalog is what the manifests that passed have listed. It is safe for
// concurrent use.
type Catalog struct {
	mu            sync.RWMutex
	secret        []byte                                // of the swarm ids
	presentations *simplelru.LRU[string, *Presentation] // by name
	hosts         map[string]int                        // presentations of a host
	playlists     map[Location]*Presentation            // that a multivariant playlist named
	segments      map[Location][]*Listed                // one for each query
	listed        int                                   // weight of segments
	swarms        map[string]*Presentation              // by swarm id that was handed out
	templates     templates
	readings      readings
	hashes        infoHashes
}

// New makes an empty catalog; secret makes its swarm ids unguessable.
func New(secret []byte) *Catalog {
	lru, err := simplelru.NewLRU[string, *Presentation](math.MaxInt, nil) // bounded by trim
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Catalog{
		secret: secret, presentations: lru, hosts: map[string]int{},
		playlists: map[Location]*Presentation{}, segments: map[Location][]*Listed{}, swarms: map[string]*Presentation{}, readings: readings{},
	}
}

// Presentation returns the presentation that the manifest at a canonical path belongs
// to, and puts it into the catalog if it is new. It is nil for a path that no pass
// could cover.
func (c *Catalog) Presentation(host, path string) *Presentation {
	if p := c.fresh(host, path); p != nil {
		return p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.find(host, path)
	if p != nil && !p.known {
		p.known = true
		c.presentations.Add(p.Name(), p)
		c.hosts[host]++
		c.trim(p)
	}
	return p
}

// Peek is Presentation for a response whose body may turn out to be no manifest: a
// new presentation is not in the catalog yet.
func (c *Catalog) Peek(host, path string) *Presentation {
	if p := c.fresh(host, path); p != nil {
		return p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.find(host, path)
}

// fresh returns the presentation of a manifest, if it has been used this second. So a
// busy one is looked up without waiting for others to be changed.
func (c *Catalog) fresh(host, path string) *Presentation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	p := c.playlists[Location{host, path}]
	if p == nil {
		p, _ = c.presentations.Peek(host + path)
	}
	if p == nil || !p.known || p.used.Load() != time.Now().Unix() {
		return nil
	}
	return p
}

// use notes that p is used now. c.mu is held.
func (c *Catalog) use(p *Presentation) {
	p.used.Store(time.Now().Unix())
	c.presentations.Get(p.Name())
}

// find returns the presentation of a manifest, a new one if there is none. c.mu is
// held.
func (c *Catalog) find(host, path string) *Presentation {
	p := c.playlists[Location{host, path}]
	if p == nil {
		p, _ = c.presentations.Peek(host + path)
	}
	if p != nil {
		c.use(p)
		return p
	}
	if !tokens.CoversPath("/", path) {
		return nil
	}
	return &Presentation{
		Host: host, Path: path, scopes: []string{dirOf(path)},
		playlists: map[manifest.Name]*playlist{}, forbidden: map[manifest.Name]bool{},
	}
}

// Segment returns what is listed under a name. If nothing is, it returns what the
// same path is listed as with another query, for which Listed.Is is false; or nil.
func (c *Catalog) Segment(host string, n manifest.Name) *Listed {
	at := Location{host, n.Path}
	c.mu.RLock()
	l := pick(c.segments[at], n)
	matched := false
	if (l == nil || !l.Is(n)) && len(c.templates.byDir) > 0 {
		t := c.templates.match(host, n, func(p *Presentation) bool {
			return p.forbids(n) || c.isPlaylist(p, at)
		})
		if t != nil && (l == nil || t.Is(n)) {
			if l = c.templates.kept(at, t); l == nil {
				l, matched = t, true
			}
		}
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
// the end. who says what of paths is the viewer's.
func (c *Catalog) Guards(host, escaped string, who *manifest.Identity) bool {
	read := who.CutPath(lenient(escaped))
	n := manifest.Name{Path: (&url.URL{Path: read}).EscapedPath()}
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.readings[Location{host, strings.ToLower(read)}] > 0 ||
		c.templates.match(host, n, func(*Presentation) bool { return false }) != nil
}

// pick returns what of a path goes by a name, or else the first, or nil.
func pick(of []*Listed, n manifest.Name) *Listed {
	for _, l := range of {
		if l.Is(n) {
			return l
		}
	}
	if len(of) > 0 {
		return of[0]
	}
	return nil
}

// named returns what is listed just under a name, or nil. c.mu is held.
func (c *Catalog) named(host string, n manifest.Name) *Listed {
	for _, l := range c.segments[Location{host, n.Path}] {
		if l.Query == n.Query {
			return l
		}
	}
	return nil
}

// Rekey has swarm ids made of another secret from now on. Those that were handed out
// stay good.
func (c *Catalog) Rekey(secret []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.secret = secret
	for _, p := range c.presentations.Values() {
		p.epoch = -1 // the next id is another one
	}
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
	c.mu.Lock()
	defer c.mu.Unlock()
	id := swarmID(c.secret, p.Name(), epoch)
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
// a canonical path, in this epoch or the one before: an edge with the same secret
// has handed it out.
func (c *Catalog) Issued(swarm, host, path string, now time.Time) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	for _, epoch := range []int64{epochOf(now), epochOf(now) - 1} {
		if hmac.Equal([]byte(swarm), []byte(swarmID(c.secret, host+path, epoch))) {
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

// Unread returns the names of at most limit playlists of p that no manifest has
// been read of.
func (c *Catalog) Unread(p *Presentation, limit int) []manifest.Name {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return p.names(limit, func(s *playlist) bool { return s.readAt.Load() == 0 })
}

// BySwarm returns the presentation of a swarm id that this edge handed out, or
// nil.
func (c *Catalog) BySwarm(id string) *Presentation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.swarms[id]
}

// Bootstrap returns the value of Mesh-Bootstrap for a presentation: the path of the
// session endpoint, the swarm id of now, and what of URLs is the viewer's: names of
// viewer tokens with spaces between, and who is to know the rest. It is "" for
// arguments that ValidBootstrap refuses.
func (c *Catalog) Bootstrap(p *Presentation, session, token string, who *manifest.Identity, now time.Time) string {
	b := bootstrap{session: session, swarm: c.SwarmOf(p, now), token: token, params: strings.Join(p.Params(who.Params), " ")}
	if who.Path != nil {
		b.path = who.Path.String()
	}
	if v := p.bootstrap.Load(); v != nil && v.bootstrap == b {
		return v.value
	}
	value, err := b.marshal()
	if err != nil {
		return ""
	}
	p.bootstrap.Store(&marshalled{b, value})
	return value
}

// Scopes returns the path prefixes below which all that p lists lies.
func (c *Catalog) Scopes(p *Presentation) []string {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.Clone(p.scopes)
}

// Playlists returns the names of at most limit playlists of p, those with the
// shortest path first, which puts the multivariant playlist before its renditions.
func (c *Catalog) Playlists(p *Presentation, limit int) []manifest.Name {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return p.names(limit, func(*playlist) bool { return true })
}

// IsPlaylist reports whether a path is one of a playlist of p.
func (c *Catalog) IsPlaylist(p *Presentation, path string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.isPlaylist(p, Location{p.Host, path})
}

func (c *Catalog) isPlaylist(p *Presentation, at Location) bool {
	return c.playlists[at] != nil || (at.Host == p.Host && at.Path == p.Path)
}

// Has reports whether there is a presentation at a host.
func (c *Catalog) Has(host string) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.hosts[host] > 0
}

// Stopped returns the presentations that are not shared any more.
func (c *Catalog) Stopped() []*Presentation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return slices.DeleteFunc(c.presentations.Values(), func(p *Presentation) bool { return !p.Stopped() })
}

// All returns the presentations.
func (c *Catalog) All() []*Presentation {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.presentations.Values()
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

// Stream returns the presentation of a host that an info hash is for, if its manifest was loaded
// under a name of the host, by whatever scheme; else nil.
func (c *Catalog) Stream(host, name string, hash webtorrent.ID) *Presentation {
	c.mu.RLock()
	p, current := c.hashes.find(name, hash)
	c.mu.RUnlock()
	if current {
		return p
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p, current = c.hashes.find(name, hash); !current {
		c.hashes.keep(name, hashesOf(c.presentations.Values(), host, name))
		p, _ = c.hashes.find(name, hash)
	}
	return p
}

// shorten takes the oldest entries from the queue of a playlist while drop
// returns true, and returns how many. c.mu is held.
func (c *Catalog) shorten(s *playlist, drop func(*Listed) bool) (n int) {
	for n < len(s.queue) && drop(s.queue[n]) {
		c.unlist(s.queue[n])
		n++
	}
	s.queue = slices.Delete(s.queue, 0, n)
	return n
}

// list puts what a playlist lists into the catalog. c.mu is held.
func (c *Catalog) list(l *Listed) {
	at := Location{l.Presentation.Host, l.Path}
	here := c.segments[at]
	if len(here) == 0 {
		c.readings.list(at, 1)
	} else if len(here) >= maxNames {
		c.unlist(here[0])
	}
	c.segments[at] = append(c.segments[at], l)
	l.Presentation.listed += l.weight()
	c.listed += l.weight()
}

// unlist forgets l, unless it was replaced before. c.mu is held.
func (c *Catalog) unlist(l *Listed) {
	at := Location{l.Presentation.Host, l.Path}
	here := c.segments[at]
	i := slices.Index(here, l)
	if i < 0 {
		return
	}
	if len(here) == 1 {
		delete(c.segments, at)
		c.readings.list(at, -1)
	} else {
		c.segments[at] = slices.Concat(here[:i], here[i+1:]) // readers may hold the one before
	}
	l.Presentation.listed -= l.weight()
	c.listed -= l.weight()
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
		if c.hosts[p.Host]--; c.hosts[p.Host] == 0 {
			delete(c.hosts, p.Host)
		}
		p.known = false
		c.hashes.changes++
		for _, id := range p.swarms {
			delete(c.swarms, id)
		}
		for n := range p.playlists {
			c.dropPlaylist(p, n)
		}
		for n := range p.forbidden {
			c.readings.list(Location{p.Host, n.Path}, -1)
		}
		c.templates.drop(p, nil)
	}
}

// dropPlaylist forgets a playlist and what it listed; what another one has listed
// too is read of that one again. c.mu is held.
func (c *Catalog) dropPlaylist(p *Presentation, n manifest.Name) {
	s := p.playlists[n]
	delete(p.playlists, n)
	if at := (Location{p.Host, n.Path}); c.playlists[at] == p && !p.hasPlaylist(n.Path) {
		delete(c.playlists, at)
	}
	if s == nil {
		return
	}
	c.shorten(s, func(l *Listed) bool {
		for _, other := range l.also {
			other.forget()
		}
		return true
	})
	c.templates.drop(p, s)
}
