// Package integrity divides a segment into chunks, computes its digests, and
// checks a chunk against them. It knows nothing of signatures: a segment token
// (package tokens) states the size, the chunk size and the root; the root
// vouches for the hashes, and each hash for its chunk.
//
// The tree has two levels (compare RFC 7574, section 5, and BEP 52): chunk i has
// the hash SHA-256(chunk i), and the root is SHA-256 over the hashes in order.
package integrity

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"strconv"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Limits of what can be shared.
const (
	// MinChunkSize is the smallest chunk size, in bytes.
	MinChunkSize = 16 << 10
	// TargetChunks is the number of chunks that ChunkSize stays at or below.
	TargetChunks = 32
	// MaxSegment is the largest segment that is shared, in bytes.
	MaxSegment = int64(TargetChunks) * wire.MaxChunk
	// HashSize is the number of bytes of a hash and of the root.
	HashSize = sha256.Size
)

// Errors of NewLayout, Layout.Verify and Layout.Check.
var (
	ErrSize   = errors.New("segment size cannot be shared")
	ErrHashes = errors.New("hashes do not match the root")
	ErrChunk  = errors.New("chunk does not match its hash")
)

// ID is the id that peers use for a segment: the first eight bytes, big-endian,
// of the SHA-256 of name, or of "name@offset+length" for a byte range of a
// resource (length > 0). The name is that of manifest.Name: the canonical path, and
// after a question mark the query without what is the viewer's, if any is left.
func ID(name string, offset, length int64) wire.SegmentID {
	b := make([]byte, 0, 256)
	b = append(b, name...)
	if length > 0 {
		b = append(b, '@')
		b = strconv.AppendInt(b, offset, 10)
		b = append(b, '+')
		b = strconv.AppendInt(b, length, 10)
	}
	sum := sha256.Sum256(b)
	return wire.SegmentID(binary.BigEndian.Uint64(sum[:]))
}

// ChunkSize is the chunk size an edge chooses for a segment of size bytes: the
// smallest power of two, at least MinChunkSize, that gives at most TargetChunks
// chunks. For a size over MaxSegment, which is not shared, it is the largest.
func ChunkSize(size int64) int {
	c := int64(MinChunkSize)
	for c < wire.MaxChunk && c*TargetChunks < size {
		c *= 2
	}
	return int(c)
}

// Layout is how a segment is divided.
type Layout struct {
	Size      int64 // bytes in the segment
	ChunkSize int   // bytes in each chunk but the last
}

// NewLayout checks that size and chunkSize give 1 to 64 chunks of allowed
// size; the error wraps ErrSize.
func NewLayout(size int64, chunkSize int) (Layout, error) {
	l := Layout{size, chunkSize}
	if size <= 0 || chunkSize <= 0 || chunkSize > wire.MaxChunk || size > int64(chunkSize)*wire.MaxChunks {
		return Layout{}, fmt.Errorf("%w: %d bytes in chunks of %d", ErrSize, size, chunkSize)
	}
	return l, nil
}

// Chunks is the number of chunks, 1 to 64.
func (l Layout) Chunks() int { return int((l.Size + int64(l.ChunkSize) - 1) / int64(l.ChunkSize)) }

// Range gives the first byte of chunk i and the byte after its last, counted
// from the start of the segment.
func (l Layout) Range(i int) (from, to int64) {
	from = int64(i) * int64(l.ChunkSize)
	return from, min(from+int64(l.ChunkSize), l.Size)
}

// Root is the root over hashes, HashSize bytes each.
func Root(hashes []byte) [HashSize]byte { return sha256.Sum256(hashes) }

// Verify checks that hashes has one hash a chunk and that its root is root; the
// error wraps ErrHashes.
func (l Layout) Verify(hashes []byte, root [HashSize]byte) error {
	if len(hashes) != HashSize*l.Chunks() {
		return fmt.Errorf("%w: %d bytes of hashes for %d chunks", ErrHashes, len(hashes), l.Chunks())
	}
	if Root(hashes) != root {
		return ErrHashes
	}
	return nil
}

// Check checks chunk i against hashes, which Verify has accepted; the error
// wraps ErrChunk.
func (l Layout) Check(hashes []byte, i int, data []byte) error {
	if i < 0 || i >= l.Chunks() {
		return fmt.Errorf("%w: no chunk %d", ErrChunk, i)
	}
	if from, to := l.Range(i); int64(len(data)) != to-from {
		return fmt.Errorf("%w: chunk %d has %d bytes, want %d", ErrChunk, i, len(data), to-from)
	}
	if sha256.Sum256(data) != [HashSize]byte(hashes[i*HashSize:(i+1)*HashSize]) {
		return fmt.Errorf("%w: chunk %d", ErrChunk, i)
	}
	return nil
}

// Digester computes the hashes of a segment while its bytes pass through
// Write. The size must be known beforehand, because it fixes the chunk size.
type Digester struct {
	layout Layout
	h      hash.Hash
	in     int // bytes of the current chunk
	n      int64
	hashes []byte
}

// NewDigester makes a Digester for a segment of size bytes with the chunk size
// that ChunkSize gives; the error wraps ErrSize.
func NewDigester(size int64) (*Digester, error) {
	if size > MaxSegment {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrSize, size, MaxSegment)
	}
	l, err := NewLayout(size, ChunkSize(max(size, 1)))
	if err != nil {
		return nil, err
	}
	return &Digester{layout: l, h: sha256.New(), hashes: make([]byte, 0, l.Chunks()*HashSize)}, nil
}

// Layout is how the segment is divided.
func (d *Digester) Layout() Layout { return d.layout }

// Write takes the next bytes; the error wraps ErrSize when there are more than
// was said.
func (d *Digester) Write(p []byte) (int, error) {
	if d.n+int64(len(p)) > d.layout.Size {
		return 0, fmt.Errorf("%w: more than %d bytes came", ErrSize, d.layout.Size)
	}
	total := len(p)
	for len(p) > 0 {
		k := min(len(p), d.layout.ChunkSize-d.in)
		d.h.Write(p[:k])
		d.in += k
		d.n += int64(k)
		p = p[k:]
		if d.in == d.layout.ChunkSize || d.n == d.layout.Size {
			d.hashes = d.h.Sum(d.hashes)
			d.h.Reset()
			d.in = 0
		}
	}
	return total, nil
}

// Sum gives the hashes and the root once all bytes have come; the error wraps
// ErrSize when some are missing.
func (d *Digester) Sum() (hashes []byte, root [HashSize]byte, err error) {
	if d.n != d.layout.Size {
		return nil, root, fmt.Errorf("%w: %d of %d bytes came", ErrSize, d.n, d.layout.Size)
	}
	return d.hashes, Root(d.hashes), nil
}
