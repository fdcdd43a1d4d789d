package live

import (
	"encoding/binary"
	"errors"
	"io"
)

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
