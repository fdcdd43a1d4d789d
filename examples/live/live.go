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
	stream
	multivariant []byte
	byName       map[string]*rendition
}

// New reads the presentation and checks that it can be looped: every track starts and ends with the others, has no
// gap, and all renditions are cut at the same places. Errors about that wrap ErrMedia or media.ErrPlaylist.
func New(config Config) (*Origin, error) {
	o := &Origin{byName: map[string]*rendition{}}
	o.clock = clock{now: config.Now, epoch: config.Epoch, delay: config.Delay, window: config.Window}
	o.part, o.ranges = config.Part, config.PartRanges && config.Part > 0
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
		if r.Name == "." || o.byName[r.Name] != nil {
			return nil, fmt.Errorf("live: %w: %s shares its folder; give each rendition one of its own, for the names of its segments",
				ErrMedia, r.Playlist)
		}
		o.renditions = append(o.renditions, r)
		o.byName[r.Name] = r
	}
	if o.grid, err = grid(o.renditions); err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	longest, err := o.cut(o.renditions)
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	o.partTarget = (longest + time.Millisecond - 1).Truncate(time.Millisecond)
	o.partHoldBack = max(config.PartHoldBack, 3*o.partTarget)
	o.dash = dashBody(o.renditions, o.grid)
	return o, nil
}

var _ http.Handler = (*Origin)(nil)
