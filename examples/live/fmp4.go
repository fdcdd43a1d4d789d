package live

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"time"
)

// ErrMedia is wrapped by the errors of New that are about the presentation: it cannot be looped.
var ErrMedia = errors.New("presentation cannot be looped")

// The boxes of ISO/IEC 14496-12 that matter for moving a segment on the timeline: moov/trak/{tkhd,mdia/mdhd} and
// moov/mvex/trex of an init section, and moof/{mfhd,traf/{tfhd,tfdt,trun}} of a media segment.

// track is what an init section says about a track.
type track struct {
	id              uint32
	timescale       uint32 // ticks per second
	defaultDuration uint32 // of a sample, from trex, in ticks; 0 if it says none
	length          uint64 // of one turn of the loop, in ticks; set by chain
}

// at converts ticks of the track to time, exact to the nanosecond below.
func (t track) at(ticks uint64) time.Duration {
	scale := uint64(t.timescale)
	return time.Duration(ticks/scale)*time.Second + time.Duration(ticks%scale*uint64(time.Second)/scale)
}

// sameLength compares the lengths of two tracks exactly, whatever their timescales.
func sameLength(a, b track) bool {
	ah, al := bits.Mul64(a.length, uint64(b.timescale))
	bh, bl := bits.Mul64(b.length, uint64(a.timescale))
	return ah == bh && al == bl
}

// segment is a media segment of the presentation and where its numbers have to change to move it.
type segment struct {
	data      []byte       // as it is on demand, but for sidx and prft
	tag       string       // of the source bytes
	sequences []int        // offsets of the 32-bit sequence number of each mfhd
	times     []decodeTime // of each tfdt
	patched   int          // everything to be changed lies before this offset
	spans     []span       // of each track of the init section
	parts     []*segment   // where the origin has parts
}

// decodeTime is one baseMediaDecodeTime: 64 bits at offset.
type decodeTime struct {
	offset int
	track  int    // index into the rendition's tracks
	base   uint64 // ticks; after chain, since the start of the loop
}

// span is a stretch of a track, in ticks.
type span struct{ start, end uint64 }

// box is one box: its type, where it starts in the bytes that were walked, and its payload.
type box struct {
	kind    string
	start   int
	end     int
	payload []byte
	offset  int // of the payload
}

// eachBox walks the boxes of data. base is added to all offsets.
func eachBox(data []byte, base int, f func(box) error) error {
	for at := 0; at < len(data); {
		if len(data)-at < 8 {
			return fmt.Errorf("%w: %d bytes are left over behind the last box", ErrMedia, len(data)-at)
		}
		size, header := uint64(binary.BigEndian.Uint32(data[at:])), 8
		switch {
		case size == 0: // to the end of the file
			size = uint64(len(data) - at)
		case size == 1 && len(data)-at >= 16:
			size, header = binary.BigEndian.Uint64(data[at+8:]), 16
		}
		kind := string(data[at+4 : at+8])
		if size < uint64(header) || size > uint64(len(data)-at) {
			return fmt.Errorf("%w: box %q at byte %d has %d bytes, which is not what the file holds", ErrMedia, kind, base+at, size)
		}
		end := at + int(size)
		if err := f(box{kind, base + at, base + end, data[at+header : end], base + at + header}); err != nil {
			return err
		}
		at = end
	}
	return nil
}

// fields reads a full box: numbers in network order behind a version and flags. The first read beyond the end
// marks it short, and reads then give 0.
type fields struct {
	rest  []byte
	short bool
}

func (f *fields) skip(n int) []byte {
	if f.short || n > len(f.rest) {
		f.short = true
		return make([]byte, n)
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) u32() uint32 { return binary.BigEndian.Uint32(f.skip(4)) }
func (f *fields) u64() uint64 { return binary.BigEndian.Uint64(f.skip(8)) }

func (f *fields) versionAndFlags() (version byte, flags uint32) {
	v := f.u32()
	return byte(v >> 24), v & 0xffffff
}

func (f *fields) check(b box) error {
	if f.short {
		return fmt.Errorf("%w: box %q at byte %d is too short", ErrMedia, b.kind, b.start)
	}
	return nil
}

// parseInit reads the tracks of an init section, in file order.
func parseInit(data []byte) ([]track, error) {
	var tracks []track
	defaults := map[uint32]uint32{}
	err := eachBox(data, 0, func(b box) error {
		if b.kind != "moov" {
			return nil
		}
		return eachBox(b.payload, b.offset, func(b box) error {
			switch b.kind {
			case "trak":
				t, err := parseTrack(b)
				tracks = append(tracks, t)
				return err
			case "mvex":
				return eachBox(b.payload, b.offset, func(b box) error {
					if b.kind != "trex" {
						return nil
					}
					f := fields{rest: b.payload}
					f.versionAndFlags()
					id := f.u32()
					f.u32() // sample description
					defaults[id] = f.u32()
					return f.check(b)
				})
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	if len(tracks) == 0 {
		return nil, fmt.Errorf("%w: the init section has no track", ErrMedia)
	}
	for i := range tracks {
		tracks[i].defaultDuration = defaults[tracks[i].id]
	}
	return tracks, nil
}

func parseTrack(trak box) (track, error) {
	var t track
	err := eachBox(trak.payload, trak.offset, func(b box) error {
		switch b.kind {
		case "tkhd":
			f := fields{rest: b.payload}
			if version, _ := f.versionAndFlags(); version == 1 {
				f.skip(16)
			} else {
				f.skip(8)
			}
			t.id = f.u32()
			return f.check(b)
		case "mdia":
			return eachBox(b.payload, b.offset, func(b box) error {
				if b.kind != "mdhd" {
					return nil
				}
				f := fields{rest: b.payload}
				if version, _ := f.versionAndFlags(); version == 1 {
					f.skip(16)
				} else {
					f.skip(8)
				}
				t.timescale = f.u32()
				return f.check(b)
			})
		}
		return nil
	})
	if err == nil && (t.id == 0 || t.timescale == 0) {
		err = fmt.Errorf("%w: a track has no id or no timescale", ErrMedia)
	}
	return t, err
}

// parseSegment reads a media segment into a form that can be moved on the timeline. sidx and prft are left out:
// they would speak of the old timeline, and a segment is whole without them.
func parseSegment(data []byte, tracks []track) (*segment, error) {
	var kept bytes.Buffer
	err := eachBox(data, 0, func(b box) error {
		if b.kind != "sidx" && b.kind != "prft" {
			kept.Write(data[b.start:b.end])
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := &segment{data: kept.Bytes(), tag: tag(data), spans: make([]span, len(tracks))}
	media := 0
	err = eachBox(s.data, 0, func(b box) error {
		switch b.kind {
		case "moof":
			return s.parseFragment(b, tracks)
		case "mdat":
			media++
		case "emsg":
			return fmt.Errorf("%w: event messages (emsg) are not moved; remove them", ErrMedia)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range s.spans {
		if s.spans[i].end == s.spans[i].start {
			return nil, fmt.Errorf("%w: the segment has no samples of track %d", ErrMedia, tracks[i].id)
		}
	}
	if media == 0 {
		return nil, fmt.Errorf("%w: the segment has no mdat", ErrMedia)
	}
	return s, nil
}

func (s *segment) parseFragment(moof box, tracks []track) error {
	return eachBox(moof.payload, moof.offset, func(b box) error {
		switch b.kind {
		case "mfhd":
			if len(b.payload) < 8 {
				return fmt.Errorf("%w: box \"mfhd\" at byte %d is too short", ErrMedia, b.start)
			}
			s.sequences = append(s.sequences, b.offset+4)
			s.patched = max(s.patched, b.end)
		case "traf":
			return s.parseTrackFragment(b, tracks)
		}
		return nil
	})
}

func (s *segment) parseTrackFragment(traf box, tracks []track) error {
	index := -1
	var each uint32 // default duration of a sample in this fragment
	var duration, base uint64
	timed := false
	err := eachBox(traf.payload, traf.offset, func(b box) error {
		f := fields{rest: b.payload}
		switch b.kind {
		case "tfhd":
			_, flags := f.versionAndFlags()
			if flags&0x1 != 0 {
				return fmt.Errorf("%w: tfhd has an absolute data offset; write default-base-is-moof", ErrMedia)
			}
			id := f.u32()
			for i, t := range tracks {
				if t.id == id {
					index, each = i, t.defaultDuration
				}
			}
			if index < 0 {
				return fmt.Errorf("%w: track %d is not in the init section", ErrMedia, id)
			}
			if flags&0x2 != 0 {
				f.u32() // sample description
			}
			if flags&0x8 != 0 {
				each = f.u32()
			}
		case "tfdt":
			if index < 0 {
				return fmt.Errorf("%w: tfdt at byte %d comes before tfhd", ErrMedia, b.start)
			}
			version, _ := f.versionAndFlags()
			if version != 1 {
				return fmt.Errorf("%w: tfdt has 32 bits, which is too short for a live timeline; write version 1", ErrMedia)
			}
			base, timed = f.u64(), true
			if !f.short {
				s.times = append(s.times, decodeTime{offset: b.offset + 4, track: index, base: base})
				s.patched = max(s.patched, b.end)
			}
		case "trun":
			d, err := runDuration(&f, each)
			if err != nil {
				return err
			}
			duration += d
		}
		return f.check(b)
	})
	if err != nil {
		return err
	}
	if index < 0 || !timed {
		return fmt.Errorf("%w: the fragment at byte %d has no tfhd or no tfdt", ErrMedia, traf.start)
	}
	at := &s.spans[index]
	if at.end == at.start {
		*at = span{base, base + duration}
		return nil
	}
	if base != at.end {
		return fmt.Errorf("%w: fragments of track %d leave a gap from %d to %d ticks", ErrMedia, tracks[index].id, at.end, base)
	}
	at.end += duration
	return nil
}

// runDuration sums the sample durations of a trun.
func runDuration(f *fields, each uint32) (uint64, error) {
	_, flags := f.versionAndFlags()
	count := f.u32()
	for _, optional := range []uint32{0x1, 0x4} { // data offset, first sample's flags
		if flags&optional != 0 {
			f.u32()
		}
	}
	if flags&0x100 == 0 {
		if each == 0 && count > 0 {
			return 0, fmt.Errorf("%w: samples have no duration, neither of their own nor by default", ErrMedia)
		}
		return uint64(count) * uint64(each), nil
	}
	var sum uint64
	for ; count > 0 && !f.short; count-- {
		sum += uint64(f.u32())
		for _, other := range []uint32{0x200, 0x400, 0x800} { // size, flags, composition offset
			if flags&other != 0 {
				f.u32()
			}
		}
	}
	return sum, nil
}
