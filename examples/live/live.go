// Package live turns an on-demand HLS presentation in fMP4 into an endless live one, as an origin that an edge
// can stand in front of. It is there for demos, tests and load: a live stream with no encoder behind it.
//
//	/index.m3u8           the multivariant playlist, as the presentation has it
//	/manifest.mpd         a live DASH manifest over the same segments
//	/v0/index.m3u8        a sliding window of one rendition
//	/v0/init.mp4          its init section, under this name whatever it was on demand
//	/v0/seg-<n>.m4s       segment n since the epoch; a name is never used again for other bytes
//	/v0/seg-<n>.<p>.m4s   part p of segment n, where Config.Part is set (low-latency HLS)
//
// The presentation is repeated without a seam: in each segment the decode times (tfdt) and the sequence number
// (mfhd) are rewritten, so that the timeline goes on over the end of the loop and no discontinuity is needed.
//
// Everything follows from the clock and the configuration. Two origins with the same of both answer the same
// bytes, so they can stand behind one name, and a restart is not seen by anyone.
package live

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"time"

	"github.com/viewmesh/viewmesh/examples/media"
)

// DefaultWindow is the number of segments in a media playlist unless Config says otherwise: 24 s of the sample.
const DefaultWindow = 12

// DefaultEpoch is when segment 0 starts unless Config says otherwise: 2025-01-01 00:00 UTC. It is fixed, so that
// origins started at different times agree.
var DefaultEpoch = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

// ErrMedia is wrapped by the errors of New that are about the presentation: it cannot be looped.
var ErrMedia = errors.New("presentation cannot be looped")

// Config says what an Origin serves. The zero value serves the sample stream.
type Config struct {
	// Media holds the presentation: index.m3u8 at its root, as media.Load reads it. Nil means media.Sample().
	// All of it is read into memory.
	Media fs.FS
	// Window is the number of segments listed in a media playlist, at least 3. 0 means DefaultWindow. Segments
	// stay available for one more window after they left the playlist.
	Window int
	// Delay is the time from the end of a segment to its appearance, as an encoder and a packager take it.
	// Default 0.
	Delay time.Duration
	// Part makes the stream a low-latency one: segments are cut into parts no longer than about this (the ends of
	// samples decide), which are listed as they come, with blocking reload, hints and delta updates
	// (draft-pantos-hls-rfc8216bis). 0 means no parts.
	Part time.Duration
	// PartHoldBack is the PART-HOLD-BACK of playlists with parts, at least three times the longest part, which is
	// the default.
	PartHoldBack time.Duration
	// PartRanges gives parts no names of their own: they are byte ranges of their segment, which grows.
	PartRanges bool
	// Epoch is when segment 0 starts. The zero time means DefaultEpoch.
	Epoch time.Time
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
}

// Origin is the live origin: an http.Handler that is safe for concurrent use and needs no closing. Mount it under
// a prefix with http.StripPrefix.
type Origin struct {
	window       int
	delay        time.Duration
	epoch        time.Time
	now          func() time.Time
	multivariant []byte
	dash         string // the MPD, but for the attributes that depend on the clock
	renditions   map[string]*rendition
	// grid is where segments end within the loop; the last is the length of the loop. It is that of the first
	// video rendition, and all renditions publish on it, so that their media sequences agree.
	grid []time.Duration

	// For low latency, or 0 and empty.
	part, partTarget, partHoldBack time.Duration
	ranges                         bool         // PartRanges
	parts                          []int        // the number of parts of each segment of the loop
	partsBefore                    []int        // and of those before it; the last is that of the loop
	ordered                        []*rendition // in the order of the presentation
}

// rendition is one encoding, with its segments ready to be moved on the timeline.
type rendition struct {
	media.Rendition
	tracks   []track
	init     []byte
	initTag  string // ETag
	segments []*segment
	target   int // EXT-X-TARGETDURATION, in seconds
}

// New reads the presentation and checks that it can be looped: every track starts and ends with the others, has no
// gap, and all renditions are cut at the same places. Errors about that wrap ErrMedia or media.ErrPlaylist.
func New(config Config) (*Origin, error) {
	o := &Origin{
		window:     config.Window,
		delay:      config.Delay,
		epoch:      config.Epoch,
		now:        config.Now,
		renditions: map[string]*rendition{},
		part:       config.Part, partHoldBack: config.PartHoldBack, ranges: config.PartRanges && config.Part > 0,
	}
	if o.window == 0 {
		o.window = DefaultWindow
	}
	if o.window < 3 {
		return nil, fmt.Errorf("live: a window of %d segments is too short to play; use at least 3", config.Window)
	}
	if o.delay < 0 {
		return nil, fmt.Errorf("live: a delay of %v would publish segments before they end; use 0 or more", o.delay)
	}
	if o.part != 0 && o.part < 100*time.Millisecond {
		return nil, fmt.Errorf("live: parts of %v are too short to be worth a request; use at least 100ms", o.part)
	}
	if o.epoch.IsZero() {
		o.epoch = DefaultEpoch
	}
	if o.now == nil {
		o.now = time.Now
	}
	fsys := config.Media
	if fsys == nil {
		fsys = media.Sample()
	}
	p, err := media.Load(fsys)
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	o.multivariant = p.Multivariant
	for _, listed := range p.Renditions {
		r, err := loadRendition(fsys, listed)
		if err != nil {
			return nil, fmt.Errorf("live: rendition %s: %w", listed.Name, err)
		}
		if r.Name == "." || o.renditions[r.Name] != nil {
			return nil, fmt.Errorf("live: %w: %s shares its folder; give each rendition one of its own, for the names of its segments",
				ErrMedia, r.Playlist)
		}
		o.ordered = append(o.ordered, r)
		o.renditions[r.Name] = r
	}
	if err := o.align(o.ordered); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	if err := o.cutParts(o.ordered); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	o.dash = dashBody(o.ordered, o.grid)
	return o, nil
}

func loadRendition(fsys fs.FS, listed media.Rendition) (*rendition, error) {
	r := &rendition{Rendition: listed}
	var err error
	if r.init, err = fs.ReadFile(fsys, listed.Init); err != nil {
		return nil, fmt.Errorf("read the init section: %w", err)
	}
	if r.tracks, err = parseInit(r.init); err != nil {
		return nil, fmt.Errorf("%s: %w", listed.Init, err)
	}
	r.initTag = tag(r.init)
	for _, s := range listed.Segments {
		data, err := fs.ReadFile(fsys, s.Path)
		if err != nil {
			return nil, fmt.Errorf("read a segment: %w", err)
		}
		parsed, err := parseSegment(data, r.tracks)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.Path, err)
		}
		r.segments = append(r.segments, parsed)
	}
	if err := r.chain(); err != nil {
		return nil, err
	}
	for i := range r.segments {
		// RFC 8216, section 4.3.3.1: EXTINF rounded to the nearest integer is at most the target duration.
		r.target = max(r.target, int((r.duration(i)+500*time.Millisecond)/time.Second))
	}
	return r, nil
}

// align sets the grid and holds every rendition against it.
func (o *Origin) align(renditions []*rendition) error {
	reference := renditions[0]
	for _, r := range renditions {
		if !r.Audio {
			reference = r
			break
		}
	}
	for i := range reference.segments {
		o.grid = append(o.grid, reference.end(i))
	}
	for _, r := range renditions {
		if len(r.segments) != len(o.grid) {
			return fmt.Errorf("%w: %s has %d segments and %s has %d; cut all renditions at the same places",
				ErrMedia, r.Name, len(r.segments), reference.Name, len(o.grid))
		}
		for _, t := range r.tracks {
			if !sameLength(t, reference.tracks[0]) {
				return fmt.Errorf("%w: a track of %s lasts %v and one of %s lasts %v; trim all tracks to the same length, or they drift apart with each turn",
					ErrMedia, r.Name, t.at(t.length), reference.Name, reference.tracks[0].at(reference.tracks[0].length))
			}
		}
		for i, end := range o.grid {
			if off := (r.end(i) - end).Abs(); off > 100*time.Millisecond {
				return fmt.Errorf("%w: segment %d of %s ends %v away from that of %s; cut all renditions at the same places",
					ErrMedia, i, r.Name, off, reference.Name)
			}
		}
	}
	return nil
}

// tag is a strong ETag over bytes that do not change.
func tag(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}

var _ http.Handler = (*Origin)(nil)
