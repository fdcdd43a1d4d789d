package live

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"strconv"
	"time"

	"github.com/viewmesh/viewmesh/examples/media"
)

// rendition is one encoding, with its segments ready to be moved on the timeline.
type rendition struct {
	media.Rendition
	tracks   []track
	init     []byte
	initTag  string // ETag
	segments []*segment
	target   int // EXT-X-TARGETDURATION, in seconds
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

// chain puts the start of every track at 0, checks that the segments follow each other without a gap, and sets the
// length of the loop.
func (r *rendition) chain() error {
	for i := range r.tracks {
		t := &r.tracks[i]
		origin := r.segments[0].spans[i].start
		for n, s := range r.segments {
			if s.spans[i].start-origin != t.length {
				return fmt.Errorf("%w: segment %d of track %d starts at %v, but the one before ends at %v; the timeline must have no gap",
					ErrMedia, n, t.id, t.at(s.spans[i].start-origin), t.at(t.length))
			}
			s.spans[i] = span{t.length, s.spans[i].end - origin}
			t.length = s.spans[i].end
		}
		for _, s := range r.segments {
			for j := range s.times {
				if s.times[j].track == i {
					s.times[j].base -= origin
				}
			}
		}
	}
	return nil
}

// end is where a segment ends within the loop, by the rendition's first track.
func (r *rendition) end(index int) time.Duration {
	return r.tracks[0].at(r.segments[index].spans[0].end)
}

// duration is how long a segment lasts, by the rendition's first track.
func (r *rendition) duration(index int) time.Duration {
	s := r.segments[index].spans[0]
	return r.tracks[0].at(s.end - s.start)
}

// start is when a segment of a turn starts, counted from the epoch, by the rendition's first track.
func (r *rendition) start(turn uint64, index int) time.Duration {
	t := r.tracks[0]
	return t.at(turn*t.length + r.segments[index].spans[0].start)
}

// cut cuts a segment that chain has put on the timeline.
func (r *rendition) cut(index, count int) error {
	s := r.segments[index]
	// The timeline of the parts is that of the loop already.
	placed := s.spliced(0, 0, r.tracks)
	parts, err := cut(append(placed.head, placed.tail...), r.tracks[0], count)
	if err != nil {
		return err
	}
	var all []byte
	for _, data := range parts {
		p, err := parseSegment(data, r.tracks)
		if err != nil {
			return err
		}
		p.tag = s.tag + "-p" + strconv.Itoa(len(s.parts))
		s.parts = append(s.parts, p)
		all = append(all, data...)
	}
	whole, err := parseSegment(all, r.tracks)
	if err != nil {
		return err
	}
	s.data, s.sequences, s.times, s.patched = whole.data, whole.sequences, whole.times, whole.patched
	return nil
}

// grid is where segments end within the loop, by the first video rendition; every rendition must be cut there.
func grid(renditions []*rendition) ([]time.Duration, error) {
	reference := renditions[0]
	for _, r := range renditions {
		if !r.Audio {
			reference = r
			break
		}
	}
	var ends []time.Duration
	for i := range reference.segments {
		ends = append(ends, reference.end(i))
	}
	for _, r := range renditions {
		if len(r.segments) != len(ends) {
			return nil, fmt.Errorf("%w: %s has %d segments and %s has %d; cut all renditions at the same places",
				ErrMedia, r.Name, len(r.segments), reference.Name, len(ends))
		}
		for _, t := range r.tracks {
			if !sameLength(t, reference.tracks[0]) {
				return nil, fmt.Errorf("%w: a track of %s lasts %v and one of %s lasts %v; trim all tracks to the same length, or they drift apart with each turn",
					ErrMedia, r.Name, t.at(t.length), reference.Name, reference.tracks[0].at(reference.tracks[0].length))
			}
		}
		for i, end := range ends {
			if off := (r.end(i) - end).Abs(); off > 100*time.Millisecond {
				return nil, fmt.Errorf("%w: segment %d of %s ends %v away from that of %s; cut all renditions at the same places",
					ErrMedia, i, r.Name, off, reference.Name)
			}
		}
	}
	return ends, nil
}

// tag is a strong ETag over bytes that do not change.
func tag(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:8])
}
