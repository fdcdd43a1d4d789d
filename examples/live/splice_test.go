package live

import (
	"bytes"
	"io"
	"io/fs"
	"testing"
	"testing/iotest"
	"time"

	"github.com/viewmesh/viewmesh/examples/media"
)

// Over three turns, and again at today's numbers, each segment starts at the tick where the one before ended, under
// the next sequence number, and its samples are untouched.
func TestTimelineHasNoSeam(t *testing.T) {
	o, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	const farTurns = 1_250_000 // 48 s each: almost two years
	for _, from := range []sequence{0, farTurns * 24} {
		for name, r := range o.byName {
			var next uint64
			for n := from; n < from+72; n++ {
				turn, index := o.split(n)
				data, err := io.ReadAll(r.segments[index].spliced(turn, n, r.tracks))
				if err != nil {
					t.Fatal(err)
				}
				moved, err := parseSegment(data, r.tracks)
				if err != nil {
					t.Fatalf("%s: segment %d: %v", name, n, err)
				}
				at := moved.spans[0]
				if n == from {
					next = uint64(from/24) * 48 * uint64(r.tracks[0].timescale)
				}
				if at.start != next {
					t.Fatalf("%s: segment %d starts at tick %d, the one before ended at %d", name, n, at.start, next)
				}
				next = at.end
				if off := r.tracks[0].at(at.start) - time.Duration(n)*2*time.Second; off < 0 || off > 22*time.Millisecond {
					t.Fatalf("%s: segment %d is %v off the common grid", name, n, off)
				}
				offset := moved.sequences[0]
				if got := (&fields{rest: data[offset:]}).u32(); got != uint32(n)+1 {
					t.Fatalf("%s: segment %d has sequence number %d", name, n, got)
				}
				source, err := fs.ReadFile(media.Sample(), r.Segments[index].Path)
				if err != nil {
					t.Fatal(err)
				}
				if changed := differing(source, data); len(source) != len(data) || changed > 12 {
					t.Fatalf("%s: segment %d: %d bytes differ from the sample, only 12 are numbers", name, n, changed)
				}
			}
		}
	}
}

func differing(a, b []byte) (n int) {
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

func TestSplicedReader(t *testing.T) {
	o, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := o.byName["a0"]
	want, err := io.ReadAll(r.segments[5].spliced(7, 173, r.tracks))
	if err != nil {
		t.Fatal(err)
	}
	if err := iotest.TestReader(r.segments[5].spliced(7, 173, r.tracks), want); err != nil {
		t.Error(err)
	}
}

func TestSegmentsAreNotChangedInPlace(t *testing.T) {
	o, err := New(Config{})
	if err != nil {
		t.Fatal(err)
	}
	r := o.byName["v2"]
	before := bytes.Clone(r.segments[0].data)
	if _, err := io.ReadAll(r.segments[0].spliced(9, 216, r.tracks)); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(before, r.segments[0].data) {
		t.Error("reading a segment changed the presentation in memory")
	}
}

func BenchmarkSpliced(b *testing.B) {
	o, err := New(Config{})
	if err != nil {
		b.Fatal(err)
	}
	r := o.byName["v0"]
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		_, index := o.split(sequence(i))
		s := r.segments[index].spliced(uint64(i), sequence(i), r.tracks)
		b.SetBytes(s.size())
		if _, err := io.Copy(io.Discard, s); err != nil {
			b.Fatal(err)
		}
	}
}
