package integrity

import (
	"crypto/sha256"
	"errors"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// data is n bytes that JavaScript can make as easily: byte i is
// the highest byte of i*2654435761 in 32 bits.
func data(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(uint32(i) * 2654435761 >> 24)
	}
	return b
}

// whole computes hashes and root the plain way, with all bytes at hand.
func whole(b []byte, chunkSize int) (hashes []byte, root [HashSize]byte) {
	for from := 0; from < len(b); from += chunkSize {
		h := sha256.Sum256(b[from:min(from+chunkSize, len(b))])
		hashes = append(hashes, h[:]...)
	}
	return hashes, sha256.Sum256(hashes)
}

var sizes = []int{1, 2, MinChunkSize - 1, MinChunkSize, MinChunkSize + 1, 5 * MinChunkSize, TargetChunks*MinChunkSize - 1,
	TargetChunks * MinChunkSize, TargetChunks*MinChunkSize + 1, 3*TargetChunks*MinChunkSize + 7}

func TestDigesterAgreesWithTheWhole(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, size := range sizes {
		b := data(size)
		for _, most := range []int{1 << 30, 100_000, MinChunkSize, 4097} {
			d, err := NewDigester(int64(size))
			if err != nil {
				t.Fatal(err)
			}
			for rest := b; len(rest) > 0; {
				n := min(len(rest), 1+rng.IntN(most))
				if k, err := d.Write(rest[:n]); k != n || err != nil {
					t.Fatalf("%d bytes: Write(%d bytes) = %d, %v", size, n, k, err)
				}
				rest = rest[n:]
			}
			hashes, root, err := d.Sum()
			if err != nil {
				t.Fatal(err)
			}
			wantHashes, wantRoot := whole(b, ChunkSize(int64(size)))
			if string(hashes) != string(wantHashes) || root != wantRoot {
				t.Errorf("%d bytes in writes of up to %d differ from the whole", size, most)
			}
			l := d.Layout()
			if err := l.Verify(hashes, root); err != nil {
				t.Error(err)
			}
			for i := range l.Chunks() {
				from, to := l.Range(i)
				if err := l.Check(hashes, i, b[from:to]); err != nil {
					t.Error(err)
				}
			}
		}
	}
}

func TestDigesterCounts(t *testing.T) {
	d, err := NewDigester(10)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Write(make([]byte, 9)); err != nil {
		t.Fatal(err)
	}
	if _, _, err := d.Sum(); !errors.Is(err, ErrSize) {
		t.Errorf("Sum with a byte missing: %v", err)
	}
	if n, err := d.Write(make([]byte, 2)); n != 0 || !errors.Is(err, ErrSize) {
		t.Errorf("a byte too many: %d, %v", n, err)
	}
	if _, err := d.Write([]byte{0}); err != nil {
		t.Errorf("the last byte after one too many was refused: %v", err)
	}
	hashes, _, err := d.Sum()
	if want := sha256.Sum256(make([]byte, 10)); err != nil || string(hashes) != string(want[:]) {
		t.Errorf("Sum = %x, %v, want %x", hashes, err, want)
	}
	if _, err := d.Write([]byte{0}); !errors.Is(err, ErrSize) {
		t.Errorf("a byte after the last: %v", err)
	}
	if _, err := d.Write(nil); err != nil {
		t.Errorf("no byte after the last: %v", err)
	}
	for _, size := range []int64{math.MinInt64, -1, 0, MaxSegment + 1, math.MaxInt64} {
		if _, err := NewDigester(size); !errors.Is(err, ErrSize) {
			t.Errorf("NewDigester(%d): %v, want %v", size, err, ErrSize)
		}
	}
	if d, err := NewDigester(MaxSegment); err != nil || d.Layout() != (Layout{MaxSegment, wire.MaxChunk}) {
		t.Errorf("the largest segment: %v", err)
	}
}

// TestAnyFlipIsFound flips one bit in every chunk, at both ends of it, and in
// every hash.
func TestAnyFlipIsFound(t *testing.T) {
	b := data(33*MinChunkSize + 5)
	d, _ := NewDigester(int64(len(b)))
	if _, err := d.Write(b); err != nil {
		t.Fatal(err)
	}
	hashes, root, err := d.Sum()
	if err != nil {
		t.Fatal(err)
	}
	l := d.Layout()
	if l.Chunks() < 3 {
		t.Fatalf("only %d chunks", l.Chunks())
	}
	for i := range l.Chunks() {
		from, to := l.Range(i)
		for _, at := range []int64{from, (from + to) / 2, to - 1} {
			b[at] ^= 1 << (at % 8)
			if err := l.Check(hashes, i, b[from:to]); !errors.Is(err, ErrChunk) {
				t.Errorf("a flip at byte %d was not found: %v", at, err)
			}
			for j := range l.Chunks() {
				f, e := l.Range(j)
				if err := l.Check(hashes, j, b[f:e]); (err == nil) != (j != i) {
					t.Errorf("a flip in chunk %d: chunk %d says %v", i, j, err)
				}
			}
			b[at] ^= 1 << (at % 8)
		}
	}
	for i := range hashes {
		hashes[i] ^= 0x80
		if err := l.Verify(hashes, root); !errors.Is(err, ErrHashes) {
			t.Errorf("a flip in byte %d of the hashes was not found: %v", i, err)
		}
		hashes[i] ^= 0x80
	}
	for i := range root {
		wrong := root
		wrong[i] ^= 1
		if err := l.Verify(hashes, wrong); !errors.Is(err, ErrHashes) {
			t.Errorf("a flip in byte %d of the root was not found: %v", i, err)
		}
	}
	if err := l.Verify(hashes, root); err != nil {
		t.Error(err)
	}
}

func TestChunksAreNotInterchangeable(t *testing.T) {
	b := data(4 * MinChunkSize)
	hashes, root := whole(b, MinChunkSize)
	l, err := NewLayout(int64(len(b)), MinChunkSize)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Check(hashes, 0, b[MinChunkSize:2*MinChunkSize]); !errors.Is(err, ErrChunk) {
		t.Errorf("chunk 1 passed as chunk 0: %v", err)
	}
	swapped := append(append([]byte(nil), hashes[HashSize:2*HashSize]...), hashes[:HashSize]...)
	swapped = append(swapped, hashes[2*HashSize:]...)
	if err := l.Verify(swapped, root); !errors.Is(err, ErrHashes) {
		t.Errorf("swapped hashes passed: %v", err)
	}
}

func TestBounds(t *testing.T) {
	b := data(2*MinChunkSize + 10)
	hashes, root := whole(b, MinChunkSize)
	l, err := NewLayout(int64(len(b)), MinChunkSize)
	if err != nil {
		t.Fatal(err)
	}
	last := b[2*MinChunkSize:]
	for name, err := range map[string]error{
		"chunk -1":                 l.Check(hashes, -1, b[:MinChunkSize]),
		"the chunk after the last": l.Check(hashes, 3, nil),
		"a byte short":             l.Check(hashes, 0, b[:MinChunkSize-1]),
		"a byte long":              l.Check(hashes, 0, b[:MinChunkSize+1]),
		"no byte":                  l.Check(hashes, 0, nil),
		"the last chunk padded":    l.Check(hashes, 2, append(append([]byte(nil), last...), make([]byte, MinChunkSize-10)...)),
	} {
		if !errors.Is(err, ErrChunk) {
			t.Errorf("%s: %v, want %v", name, err, ErrChunk)
		}
	}
	for name, h := range map[string][]byte{"no hash": nil, "a hash short": hashes[:2*HashSize], "a byte short": hashes[:len(hashes)-1],
		"a hash long": append(append([]byte(nil), hashes...), make([]byte, HashSize)...)} {
		if err := l.Verify(h, Root(h)); !errors.Is(err, ErrHashes) {
			t.Errorf("%s, with a root that fits: %v, want %v", name, err, ErrHashes)
		}
	}
	if err := l.Verify(hashes, root); err != nil {
		t.Error(err)
	}
}

func TestNewLayout(t *testing.T) {
	for _, c := range []struct {
		size      int64
		chunkSize int
		chunks    int // 0: refused
	}{
		{1, 1, 1}, {1, wire.MaxChunk, 1}, {64, 1, 64}, {65, 1, 0}, {100, 10, 10}, {101, 10, 11},
		{int64(wire.MaxChunk) * 64, wire.MaxChunk, 64}, {int64(wire.MaxChunk)*64 + 1, wire.MaxChunk, 0},
		{1, wire.MaxChunk + 1, 0}, {0, 16384, 0}, {-1, 16384, 0}, {1, 0, 0}, {1, -1, 0}, {math.MaxInt64, math.MaxInt, 0},
		{math.MinInt64, math.MinInt, 0},
	} {
		l, err := NewLayout(c.size, c.chunkSize)
		if c.chunks == 0 {
			if !errors.Is(err, ErrSize) {
				t.Errorf("NewLayout(%d, %d): %v, want %v", c.size, c.chunkSize, err, ErrSize)
			}
			continue
		}
		if err != nil || l.Chunks() != c.chunks {
			t.Errorf("NewLayout(%d, %d) has %d chunks, %v; want %d", c.size, c.chunkSize, l.Chunks(), err, c.chunks)
			continue
		}
		at := int64(0)
		for i := range l.Chunks() {
			from, to := l.Range(i)
			if from != at || to <= from || to-from > int64(c.chunkSize) {
				t.Errorf("NewLayout(%d, %d): chunk %d is %d to %d, want it to begin at %d", c.size, c.chunkSize, i, from, to, at)
			}
			at = to
		}
		if at != c.size {
			t.Errorf("NewLayout(%d, %d): the chunks end at %d", c.size, c.chunkSize, at)
		}
	}
}

// TestChunkSize: what the edge chooses can always be laid out, up to MaxSegment,
// and a Content-Length made up by an origin ends the loop too.
func TestChunkSize(t *testing.T) {
	for size := int64(1); size <= MaxSegment; size += 1 + size/7 {
		c := ChunkSize(size)
		l, err := NewLayout(size, c)
		if err != nil {
			t.Fatal(err)
		}
		if c < MinChunkSize || c&(c-1) != 0 || l.Chunks() > TargetChunks || (c > MinChunkSize && l.Chunks() <= TargetChunks/2) {
			t.Errorf("%d bytes get %d chunks of %d", size, l.Chunks(), c)
		}
	}
	for _, size := range []int64{MaxSegment + 1, 1 << 62, math.MaxInt64} {
		if c := ChunkSize(size); c != wire.MaxChunk {
			t.Errorf("ChunkSize(%d) = %d, want %d", size, c, wire.MaxChunk)
		}
	}
	for _, size := range []int64{0, -1, math.MinInt64} {
		if c := ChunkSize(size); c != MinChunkSize {
			t.Errorf("ChunkSize(%d) = %d, want %d", size, c, MinChunkSize)
		}
	}
}

func TestIDTellsRangesApart(t *testing.T) {
	seen := map[wire.SegmentID][3]any{}
	for _, path := range []string{"/a.mp4", "/b.mp4", "/A.mp4", "/a%2Emp4", ""} {
		for _, r := range [][2]int64{{0, 0}, {0, 1}, {0, 11}, {1, 1}, {1, 0}, {11, 1}, {0, math.MaxInt64}} {
			what := [3]any{path, r[0], r[1]}
			id := ID(path, r[0], r[1])
			if other, ok := seen[id]; ok && r[1] > 0 {
				t.Errorf("%v and %v have the same id", what, other)
			}
			seen[id] = what
		}
	}
	if ID("/a.mp4", 0, 0) != ID("/a.mp4", 7, 0) {
		t.Error("an offset without a length must not count")
	}
}

func BenchmarkDigester(b *testing.B) {
	seg := data(2 << 20)
	b.SetBytes(int64(len(seg)))
	b.ReportAllocs()
	for b.Loop() {
		d, err := NewDigester(int64(len(seg)))
		if err != nil {
			b.Fatal(err)
		}
		if _, err := d.Write(seg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheck(b *testing.B) {
	seg := data(64 << 10)
	hashes, _ := whole(seg, len(seg))
	l, err := NewLayout(int64(len(seg)), len(seg))
	if err != nil {
		b.Fatal(err)
	}
	b.SetBytes(int64(len(seg)))
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Check(hashes, 0, seg); err != nil {
			b.Fatal(err)
		}
	}
}
