package gateway

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/edge"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// farAhead is how far behind what it asks for the playhead is thought to be at
// most: a player that takes all it can get is not waited for.
const farAhead = 24 * time.Second

// errSkipped: a delta update leaves out what the version before did not have.
var errSkipped = errors.New("it leaves out segments that were not seen before")

// show is one presentation that is being played. It is under Gateway.mu.
type show struct {
	viewer    *viewer.Viewer
	playlists []*playlist
	live      bool
	last      *time.Timer       // lets the show go
	variables map[string]string // of the multivariant playlist

	// The playhead, as it is thought to be.
	started bool
	playing bool
	pos     time.Duration
	at      time.Time
	asked   time.Duration // the end of what was asked for
	halt    *time.Timer   // when the playhead comes there
}

// playlist is one media playlist of a show.
type playlist struct {
	show     *show
	path     string
	kind     string // "" for a variant, or the TYPE of EXT-X-MEDIA
	timeline manifest.Timeline
	list     *manifest.Playlist
	segments []manifest.Unit // as the player sees them if it plays no parts
	units    []manifest.Unit // and if it does
	parts    bool            // it does
	loaded   time.Time
	asked    time.Time // when a segment of it was asked for
	keys     []string  // in Gateway.segments
}

// entry is a segment, or a part of one, that a playlist lists.
type entry struct {
	playlist        *playlist
	resource        manifest.Resource
	id              wire.SegmentID
	start, duration time.Duration
	init            bool // it is an init section, which does not go through the mesh
	part            bool
	divided         bool // it is a segment whose parts are listed, too
}

// way is how a request is answered.
type way uint8

const (
	passing       way = iota // it is for no segment that is listed
	fromOrigin               // it is for one, and the origin is to answer
	fromMesh                 // it is for a whole resource, or a range of one
	fromMeshRange            // its range is the segment's own
)

// find gives the segment that a request is for.
func (g *Gateway) find(r *http.Request) (*entry, way) {
	g.mu.Lock()
	defer g.mu.Unlock()
	listed := g.segments[r.URL.RequestURI()]
	if len(listed) == 0 {
		return nil, passing
	}
	for _, name := range []string{"If-Range", "If-None-Match", "If-Modified-Since", "If-Match", "If-Unmodified-Since"} {
		if r.Header.Get(name) != "" {
			return listed[0], fromOrigin // the origin knows
		}
	}
	from, until, ranged := parseRange(r.Header.Get("Range"), -1)
	var whole *entry
	for _, e := range listed {
		switch {
		case e.init:
		case e.resource.Length == 0:
			whole = e
		case ranged && from == e.resource.Offset && until == from+e.resource.Length:
			return e, fromMeshRange // also where the whole is listed: a part
		}
	}
	if whole != nil {
		return whole, fromMesh
	}
	return listed[0], fromOrigin
}

// learn takes a playlist that the player has loaded.
func (g *Gateway) learn(u *url.URL, h http.Header, text []byte) {
	b, bootstrapped := edge.ParseBootstrap(h, u)
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return
	}
	p := g.playlists[nameOf(u)]
	from := manifest.Source{URL: u}
	if p != nil {
		from.Before, from.Imports = p.list, p.show.variables
	}
	pl, err := manifest.ReadHLS(text, from)
	if err == nil && pl.Skipped > 0 {
		err = errSkipped
	}
	if err != nil {
		g.log.Debug("a playlist is passed on and not understood", "path", u.Path, "err", err)
		return
	}
	if p == nil {
		if !bootstrapped {
			return // there is no mesh for this one
		}
		p = g.addPlaylist(g.newShow(), nameOf(u), "")
	}
	s := p.show
	s.last.Reset(idle)
	if bootstrapped {
		// The viewer may wait for its loop, which never waits for us.
		s.viewer.Bootstrap(b)
	}
	if pl.Multivariant {
		s.variables = pl.Variables
		for _, v := range pl.Variants {
			g.addPlaylist(s, nameOf(v.URL), "")
		}
		for _, r := range pl.Renditions {
			if r.URL != nil {
				g.addPlaylist(s, nameOf(r.URL), r.Type)
			}
		}
		return
	}
	g.update(p, pl)
}

// nameOf is what a playlist is known by: its path and its query without directives.
func nameOf(u *url.URL) string { return new(manifest.Identity).Of(u).String() }

func (g *Gateway) newShow() *show {
	s := &show{viewer: viewer.New(g.cfg.Viewer)}
	s.halt = time.AfterFunc(time.Hour, func() { g.halted(s) })
	s.halt.Stop()
	s.last = time.AfterFunc(idle, func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.letGo(s)
	})
	g.shows[s] = struct{}{}
	return s
}

// addPlaylist makes a playlist known as one of a show. g.mu is held.
func (g *Gateway) addPlaylist(s *show, path, kind string) *playlist {
	if p := g.playlists[path]; p != nil {
		if p.show == s {
			p.kind = kind
		}
		return p
	}
	p := &playlist{show: s, path: path, kind: kind}
	g.playlists[path] = p
	s.playlists = append(s.playlists, p)
	return p
}

// letGo ends a show. g.mu is held.
func (g *Gateway) letGo(s *show) {
	if _, ok := g.shows[s]; !ok {
		return
	}
	delete(g.shows, s)
	s.last.Stop()
	s.halt.Stop()
	for _, p := range s.playlists {
		delete(g.playlists, p.path)
		g.unlist(p)
	}
	g.work.Add(1)
	go func() {
		defer g.work.Done()
		s.viewer.Close()
		g.mu.Lock()
		defer g.mu.Unlock()
		sum := s.viewer.Stats().Report
		g.past.Add(&sum)
	}()
}

func (g *Gateway) unlist(p *playlist) {
	for _, key := range p.keys {
		kept := slices.DeleteFunc(g.segments[key], func(e *entry) bool { return e.playlist == p })
		if len(kept) == 0 {
			delete(g.segments, key)
		} else {
			g.segments[key] = kept
		}
	}
	p.keys = p.keys[:0]
}

// update takes a new version of a media playlist. g.mu is held.
func (g *Gateway) update(p *playlist, pl *manifest.Playlist) {
	var edge time.Duration
	for _, o := range p.show.playlists {
		if o != p {
			edge = max(edge, o.timeline.End())
		}
	}
	p.segments, p.units = p.timeline.Units(pl, edge, false), p.timeline.Units(pl, edge, true)
	p.list, p.loaded = pl, time.Now()
	p.show.live = !pl.Ended
	g.unlist(p)
	var init *manifest.Resource
	for i := range p.segments {
		u := &p.segments[i]
		if u.Init != nil && u.Init != init {
			init = u.Init
			g.list(&entry{playlist: p, resource: *init, init: true})
		}
		g.listUnit(p, u, len(pl.Segments[i].Parts) > 0)
	}
	for i := range p.units {
		if u := &p.units[i]; u.Part != manifest.Whole {
			g.listUnit(p, u, false)
		}
	}
	g.tell(p.show)
}

func (g *Gateway) listUnit(p *playlist, u *manifest.Unit, divided bool) {
	if !u.Gap {
		g.list(&entry{playlist: p, resource: u.Resource, id: p.show.viewer.ID(u.Resource), start: u.Start, duration: u.Duration,
			part: u.Part != manifest.Whole, divided: divided})
	}
}

// playing is what the player plays of a playlist.
func (p *playlist) playing() []manifest.Unit {
	if p.parts {
		return p.units
	}
	return p.segments
}

// list makes an entry known, if its URL is the origin's. g.mu is held.
func (g *Gateway) list(e *entry) {
	u := e.resource.URL
	if u.Host != g.cfg.Origin.Host || u.Scheme != g.cfg.Origin.Scheme {
		return
	}
	key := u.RequestURI()
	g.segments[key] = append(g.segments[key], e)
	e.playlist.keys = append(e.playlist.keys, key)
}

// tell tells the viewer what the player plays: of each kind the playlist that it
// used last. g.mu is held.
func (g *Gateway) tell(s *show) {
	m := viewer.Manifest{Live: s.live}
	for _, p := range s.active() {
		if m.Rendition == "" || p.kind == "" {
			m.Rendition = p.path
		}
		for _, u := range p.playing() {
			if !u.Gap {
				m.Segments = append(m.Segments, viewer.Segment{Resource: u.Resource, Sequence: u.Sequence, Start: u.Start, Duration: u.Duration})
			}
		}
	}
	slices.SortStableFunc(m.Segments, func(a, b viewer.Segment) int { return cmp.Compare(a.Start, b.Start) })
	s.viewer.SetManifest(m)
}

// active gives of each kind the playlist that was used last: of a live stream the
// one that was loaded last, of others the one that a segment of was asked for last.
func (s *show) active() []*playlist {
	var out []*playlist
	used := func(p *playlist) time.Time {
		if s.live && p.loaded.After(p.asked) {
			return p.loaded
		}
		return p.asked
	}
	for _, p := range s.playlists {
		if p.list == nil {
			continue
		}
		i := slices.IndexFunc(out, func(o *playlist) bool { return o.kind == p.kind })
		switch {
		case i < 0:
			out = append(out, p)
		case used(p).After(used(out[i])), used(p).Equal(used(out[i])) && p.loaded.After(out[i].loaded):
			out[i] = p
		}
	}
	return out
}

// ask notes that the player asks for a segment, and moves the playhead.
func (g *Gateway) ask(e *entry) {
	g.mu.Lock()
	defer g.mu.Unlock()
	p, s, now := e.playlist, e.playlist.show, time.Now()
	if _, ok := g.shows[s]; !ok {
		return
	}
	s.last.Reset(idle)
	before, parts := s.active(), p.parts
	p.asked = now
	p.parts = e.part || (p.parts && !e.divided)
	if p.parts != parts || !slices.Equal(before, s.active()) {
		g.tell(s)
	}
	if p.kind != "" && slices.ContainsFunc(s.active(), func(o *playlist) bool { return o.kind == "" }) {
		return // the playhead follows the variant, not its audio
	}
	pos, end := s.position(now), e.start+e.duration
	far := max(2*p.list.Target, 4*time.Second)
	switch {
	case !s.started, e.start > s.asked+far, e.start < pos-far:
		s.started = true
		pos, s.asked = e.start, end
	case e.start < pos:
		pos = e.start
	}
	s.asked = max(s.asked, end)
	pos = max(pos, s.asked-farAhead)
	s.pos, s.at, s.playing = pos, now, true
	s.halt.Reset(s.asked - pos)
	s.viewer.Play(pos, true)
}

// position is where the playhead is thought to be.
func (s *show) position(now time.Time) time.Duration {
	if s.playing {
		return min(s.pos+now.Sub(s.at), s.asked)
	}
	return s.pos
}

// halted stops the playhead at the end of what was asked for.
func (g *Gateway) halted(s *show) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := time.Now()
	if _, ok := g.shows[s]; !ok || !s.playing {
		return
	}
	if pos := s.position(now); pos < s.asked { // it was put off meanwhile
		s.halt.Reset(s.asked - pos)
		return
	}
	s.pos, s.playing = s.asked, false
	s.viewer.Play(s.pos, false)
}
