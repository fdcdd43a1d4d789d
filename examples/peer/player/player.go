// Package player is a player's clock without a picture: it loads playlists, says
// to a viewer what it plays, and plays segments in order at the speed of time. It
// stalls where a player would.
package player

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/pause"
	"github.com/viewmesh/viewmesh/examples/peer/store"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Config says what to play. URL is needed.
type Config struct {
	// URL is that of a multivariant or a media playlist.
	URL *url.URL
	// Rendition is the index among the variants of a multivariant playlist.
	Rendition int
	// WholeSegments: play no parts, where a playlist lists them (LL-HLS).
	WholeSegments bool
	// Viewer is what the viewer is like; its HTTP and Log are the player's, too, and
	// its Completed is for the player.
	Viewer viewer.Config
	// Played, if set, gets the bytes of each segment once the playhead has passed it.
	Played func(r manifest.Resource, data []byte)
}

const (
	// behindLive is the distance from the live edge at which a live stream is
	// started, in target durations (RFC 8216, section 6.3.3).
	behindLive = 3
	// patience is how long a segment that the origin does not have is waited for
	// before it is skipped, in target durations, and at least minPatience.
	patience    = 3
	minPatience = 6 * time.Second
	// kept is how much of what was played is remembered.
	kept = 30 * time.Second
	// step is the rounding error that the sums of durations may have.
	step = 2 * time.Millisecond
	// enough is what must be buffered before the playhead starts or goes on.
	enough = 500 * time.Millisecond
)

// Player is one player.
type Player struct {
	cfg     Config
	http    *http.Client
	log     *slog.Logger
	viewer  *viewer.Viewer
	came    time.Time
	updates chan update
	wake    chan struct{}

	mu      sync.Mutex
	trouble bool

	// The rest belongs to Run.
	tracks   []*track
	live     bool
	started  bool
	playing  bool
	pos      time.Duration // media time, at
	at       time.Time     //
	ready    bool          // pos is where to start
	haltedAt time.Time     // since when it does not play
	quality  viewer.Quality
	stalled  time.Duration
	played   time.Duration

	variables map[string]string // of the multivariant playlist
}

// track is one media playlist.
type track struct {
	url      *url.URL
	timeline manifest.Timeline
	playlist *manifest.Playlist
	segments []segment // in order, from some way behind the playhead on; or parts
	init     string    // the init section that was fetched
	initOK   bool
}

type segment struct {
	manifest.Unit
	id     wire.SegmentID
	played bool
}

type update struct {
	track    *track
	playlist *manifest.Playlist
	init     bool // the init section came
}

// New makes a player and its viewer. Close must be called in the end.
func New(cfg Config) *Player {
	p := &Player{cfg: cfg, http: cfg.Viewer.HTTP, log: cfg.Viewer.Log, updates: make(chan update), wake: make(chan struct{}, 1)}
	if p.http == nil {
		p.http = http.DefaultClient
	}
	if p.log == nil {
		p.log = slog.Default()
	}
	of := cfg.Viewer
	of.Completed = func(wire.SegmentID) {
		select {
		case p.wake <- struct{}{}:
		default:
		}
	}
	p.viewer = viewer.New(of)
	return p
}

// Close ends the viewer. Run must have returned.
func (p *Player) Close() { p.viewer.Close() }

// Close ends the viewers of players at once. Their Run must have returned.
func Close(players []*Player) {
	var closing sync.WaitGroup
	for _, p := range players {
		closing.Go(p.Close)
	}
	closing.Wait()
}

// Stats is how it went so far.
func (p *Player) Stats() viewer.Stats { return p.viewer.Stats() }

// Run plays until the presentation or ctx ends. The error says why there is
// nothing to play; the end of ctx is none.
func (p *Player) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	p.came = time.Now()
	p.haltedAt = p.came
	var err error
	if p.tracks, err = p.choose(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	for _, t := range p.tracks {
		work.Go(func() { p.poll(ctx, t) })
	}
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		next, over := p.advance(time.Now())
		if over {
			return nil
		}
		timer.Reset(next)
		select {
		case u := <-p.updates:
			if u.init {
				u.track.initOK = true
				break
			}
			p.take(u.track, u.playlist)
			if t := u.track; len(u.playlist.Segments) > 0 {
				if r := u.playlist.Segments[len(u.playlist.Segments)-1].Init; r == nil {
					t.initOK = true
				} else if name := fmt.Sprint(r.URL, r.Offset); t.init != name {
					t.init, t.initOK = name, t.init != "" // only the first is waited for
					work.Go(func() { p.fetchInit(ctx, t, *r) })
				}
			}
		case <-p.wake:
		case <-timer.C:
		case <-ctx.Done():
			p.advance(time.Now())
			return nil
		}
	}
}

func (p *Player) update(ctx context.Context, t *track, pl *manifest.Playlist) {
	select {
	case p.updates <- update{track: t, playlist: pl}:
	case <-ctx.Done():
	}
}

func (p *Player) fetchInit(ctx context.Context, t *track, r manifest.Resource) {
	for {
		_, err := p.viewer.Resource(ctx, r)
		if err == nil {
			select {
			case p.updates <- update{track: t, init: true}:
			case <-ctx.Done():
			}
			return
		}
		p.troubled(err)
		if !pause.For(ctx, time.Second) {
			return
		}
	}
}

// troubled logs the first error of a row.
func (p *Player) troubled(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.trouble {
		p.trouble = true
		p.log.Warn("the origin has trouble; trying again", "err", err)
	}
}

func (p *Player) fine() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.trouble = false
}

// take takes a new version of a playlist.
func (p *Player) take(t *track, pl *manifest.Playlist) {
	if len(pl.Segments) == 0 {
		return
	}
	var edge time.Duration
	for _, o := range p.tracks {
		if o != t {
			edge = max(edge, o.timeline.End())
		}
	}
	units := t.timeline.Units(pl, edge, p.parts(pl))
	t.playlist = pl
	p.live = !pl.Ended
	if n := len(t.segments); n > 0 && units[len(units)-1].Sequence < t.segments[n-1].Sequence {
		t.segments = nil // the stream began anew
	}
	for _, u := range units {
		if n := len(t.segments); n == 0 || u.Follows(&t.segments[n-1].Unit) {
			s := segment{Unit: u}
			if !u.Gap {
				s.id = p.viewer.ID(u.Resource)
			}
			t.segments = append(t.segments, s)
		}
	}
	pos := p.position(time.Now())
	t.segments = slices.DeleteFunc(t.segments, func(s segment) bool { return p.live && s.End() < pos-kept })
	if slices.ContainsFunc(p.tracks, func(t *track) bool { return t.playlist == nil }) {
		return
	}
	if !p.ready {
		p.ready = true
		p.pos = p.startAt()
		p.viewer.Play(p.pos, false)
	}
	p.show()
}

// parts says whether the parts of a playlist are to be played.
func (p *Player) parts(pl *manifest.Playlist) bool {
	return pl.Low != nil && pl.Low.PartTarget > 0 && !p.cfg.WholeSegments
}

// holdBack is how far from its end a live playlist is started.
func (p *Player) holdBack(pl *manifest.Playlist) time.Duration {
	switch {
	case p.parts(pl):
		return pl.Low.PartHoldBack
	case pl.Low != nil:
		return pl.Low.HoldBack
	}
	return behindLive * pl.Target
}

// startAt is where to begin to play: of a live stream with a segment, or with a
// part that can be decoded on its own.
func (p *Player) startAt() time.Duration {
	if !p.live {
		return p.tracks[0].segments[0].Start
	}
	start, earliest := time.Duration(math.MaxInt64), time.Duration(0)
	for _, t := range p.tracks {
		edge := t.segments[len(t.segments)-1].End()
		at := t.segments[0].Start
		earliest = max(earliest, at)
		for _, s := range t.segments {
			if s.Independent && s.Start <= edge-p.holdBack(t.playlist)+step {
				at = s.Start
			}
		}
		start = min(start, at)
	}
	return max(start, earliest)
}

// show tells the viewer what the playlists list now.
func (p *Player) show() {
	m := viewer.Manifest{Rendition: p.tracks[0].url.RequestURI(), Live: p.live}
	for _, t := range p.tracks {
		first := t.playlist.Segments[0].Sequence
		for i := range t.segments {
			s := &t.segments[i]
			if s.Sequence >= first && !s.Gap {
				m.Segments = append(m.Segments, viewer.Segment{Resource: s.Resource, Sequence: s.Sequence, Start: s.Start, Duration: s.Duration})
			}
		}
		if l := t.playlist.Low; p.parts(t.playlist) && p.live && l.Hint != nil && !l.HintOpen {
			sequence := t.playlist.Sequence + int64(len(t.playlist.Segments))
			m.Hints = append(m.Hints, viewer.Segment{Resource: *l.Hint, Sequence: sequence})
		}
	}
	slices.SortStableFunc(m.Segments, func(a, b viewer.Segment) int { return cmp.Compare(a.Start, b.Start) })
	p.viewer.SetManifest(m)
}

// position is where the playhead is, were the buffer without end.
func (p *Player) position(now time.Time) time.Duration {
	if p.playing {
		return p.pos + now.Sub(p.at)
	}
	return p.pos
}

// whole says whether a segment can be played.
func (p *Player) whole(s *segment) bool {
	if s.Gap {
		return true
	}
	g := p.viewer.Store().Lookup(s.id)
	return g != nil && g.Whole()
}

// stopped says whether the origin has failed to deliver a segment.
func (p *Player) stopped(s *segment) bool {
	g := p.viewer.Store().Lookup(s.id)
	return g != nil && errors.Is(g.Stopped(), store.ErrStopped)
}
