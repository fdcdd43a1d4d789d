package live

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"
)

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

// spliced returns the segment as it is in a turn of the loop, its movie fragments numbered from a number on since the
// epoch. Only the head, with the numbers that change, is copied; the samples are shared.
func (s *segment) spliced(turn uint64, number sequence, tracks []track) *splicedReader {
	head := make([]byte, s.patched)
	copy(head, s.data)
	for i, offset := range s.sequences {
		binary.BigEndian.PutUint32(head[offset:], uint32(number)+uint32(i)+1) // 1 is the first, and 32 bits may wrap
	}
	for _, t := range s.times {
		binary.BigEndian.PutUint64(head[t.offset:], turn*tracks[t.track].length+t.base)
	}
	return &splicedReader{head: head, tail: s.data[s.patched:]}
}

// splicedReader reads a head and a tail as one file.
type splicedReader struct {
	tag        string // ETag
	head, tail []byte
	at         int64
}

func (r *splicedReader) size() int64 { return int64(len(r.head) + len(r.tail)) }

func (r *splicedReader) Read(p []byte) (int, error) {
	if r.at >= r.size() {
		return 0, io.EOF
	}
	n := 0
	if r.at < int64(len(r.head)) {
		n = copy(p, r.head[r.at:])
	}
	if at := r.at + int64(n) - int64(len(r.head)); at >= 0 {
		n += copy(p[n:], r.tail[at:])
	}
	r.at += int64(n)
	return n, nil
}

// WriteTo writes what is left.
func (r *splicedReader) WriteTo(w io.Writer) (int64, error) {
	return io.Copy(w, struct{ io.Reader }{r})
}

func (r *splicedReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.size()
	}
	if offset < 0 {
		return 0, errors.New("live: seek before the start of a segment")
	}
	r.at = offset
	return offset, nil
}

var _ io.ReadSeeker = (*splicedReader)(nil)
