package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// segment gives a segment's bytes and proof.
func segment(t *testing.T, size int) ([]byte, Proof) {
	t.Helper()
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(rand.Uint32())
	}
	d, err := integrity.NewDigester(int64(size))
	if err != nil {
		t.Fatal(err)
	}
	_, _ = d.Write(data)
	hashes, root, err := d.Sum()
	if err != nil {
		t.Fatal(err)
	}
	return data, Proof{Path: "/x", Token: "token", Hashes: hashes, Layout: d.Layout(), Root: root}
}

// read reads to the end.
func read(r *Reader, to *bytes.Buffer) error {
	for {
		p, err := r.Next(context.Background())
		if err != nil || p == nil {
			return err
		}
		to.Write(p)
		r.Advance(len(p))
	}
}

func chunkOf(data []byte, l integrity.Layout, i int) []byte {
	from, to := l.Range(i)
	return bytes.Clone(data[from:to])
}

// TestChunksInAnyOrder: a reader gets the bytes in order, however chunks come.
func TestChunksInAnyOrder(t *testing.T) {
	complete := make(chan wire.SegmentID, 1)
	s := New(func(id wire.SegmentID) { complete <- id })
	data, proof := segment(t, 100_000)
	g := s.Segment(7)
	all := make(chan []byte)
	go func() {
		var b bytes.Buffer
		if err := read(g.Reader(0), &b); err != nil {
			t.Errorf("read: %v", err)
		}
		all <- b.Bytes()
	}()
	if err := g.PutChunk(0, data[:16<<10]); !errors.Is(err, integrity.ErrChunk) {
		t.Errorf("a chunk without a proof: %v", err)
	}
	s.Prove(7, proof)
	for _, i := range rand.Perm(proof.Layout.Chunks()) {
		wrong := chunkOf(data, proof.Layout, i)
		wrong[0]++
		if err := g.PutChunk(i, wrong); !errors.Is(err, integrity.ErrChunk) {
			t.Errorf("a wrong chunk: %v", err)
		}
		if g.Chunk(i) != nil {
			t.Error("a wrong chunk was stored")
		}
		if err := g.PutChunk(i, chunkOf(data, proof.Layout, i)); err != nil {
			t.Error(err)
		}
	}
	if !bytes.Equal(<-all, data) || !bytes.Equal(g.Bytes(), data) {
		t.Error("other bytes came out")
	}
	if id := <-complete; id != 7 || !g.Whole() || g.Size() != 100_000 {
		t.Errorf("complete: %v, whole %v, size %d", id, g.Whole(), g.Size())
	}
}

// TestRaw: the origin's stream is read as it comes, and becomes chunks when a
// proof turns up that it bears out.
func TestRaw(t *testing.T) {
	s := New(nil)
	data, proof := segment(t, 50_000)
	g := s.Segment(1)
	g.Begin(nil)
	g.StartRaw(-1)
	g.AppendRaw(data[:10])
	p, err := g.Wait(context.Background(), 4)
	if err != nil || !bytes.Equal(p, data[4:10]) {
		t.Errorf("the first bytes: %v %v", p, err)
	}
	g.AppendRaw(data[10:])
	if g.Whole() || g.Bytes() != nil || g.Size() != -1 {
		t.Error("whole before the end")
	}
	g.FinishRaw()
	if g.Have() != 0 || g.Chunk(0) != nil {
		t.Error("there are chunks without a proof")
	}
	s.Prove(1, proof)
	if g.AdoptRaw() != wire.All(proof.Layout.Chunks()) || !bytes.Equal(g.Chunk(1), chunkOf(data, proof.Layout, 1)) {
		t.Error("the stream did not become chunks")
	}
	if !bytes.Equal(g.Bytes(), data) {
		t.Error("other bytes came out")
	}

	other := s.Segment(2)
	other.StartRaw(50_000)
	other.AppendRaw(make([]byte, 50_000))
	other.FinishRaw()
	s.Prove(2, proof)
	if other.AdoptRaw() != 0 || other.Chunk(0) != nil || !other.Whole() {
		t.Error("bytes that do not bear the proof out became chunks")
	}
	if _, ok := s.Prove(2, Proof{Layout: integrity.Layout{Size: 1, ChunkSize: 1}}); ok {
		t.Error("a second proof that is no newer counts")
	}
}

// TestNewestProof: the proof that was issued last counts, and the bytes of the one before
// go, but for those who have all of them; it is known as long as its statement is valid.
func TestNewestProof(t *testing.T) {
	now := time.Now()
	s := New(nil)
	before, old := segment(t, 40_000)
	old.Issued, old.Expires = now.Add(-time.Hour), now.Add(time.Hour)
	g, _ := s.Prove(1, old)
	if err := g.PutChunk(0, chunkOf(before, old.Layout, 0)); err != nil {
		t.Fatal(err)
	}
	after, newest := segment(t, 40_000)
	newest.Issued, newest.Expires = now, now.Add(2*time.Hour)
	next, ok := s.Prove(1, newest)
	if !ok || next == g || next.Have() != 0 || s.Lookup(1) != next {
		t.Fatal("the newer proof does not count")
	}
	if _, err := g.Wait(t.Context(), 1<<14); !errors.Is(err, ErrGone) {
		t.Errorf("who reads the bytes of before: %v", err)
	}
	if again, ok := s.Prove(1, old); ok || again != next {
		t.Error("the older proof counts again")
	}
	stale := chunkOf(before, old.Layout, 1)
	if next.PutChunk(1, stale) == nil {
		t.Error("a chunk of the statement before is kept")
	}
	if n, later := len(next.Proofs(now)), len(next.Proofs(old.Expires)); n != 2 || later != 1 {
		t.Errorf("%d proofs are known, %d when the older one has expired", n, later)
	}
	if err := next.PutChunk(1, chunkOf(after, newest.Layout, 1)); err != nil {
		t.Error(err)
	}
}

// TestWaiting: those who wait are told when there is nothing to wait for.
func TestWaiting(t *testing.T) {
	s := New(nil)
	wait := func(g *Segment, ctx context.Context) chan error {
		got := make(chan error, 1)
		go func() {
			_, err := g.Wait(ctx, 0)
			got <- err
		}()
		return got
	}
	expect := func(got chan error, want error) {
		t.Helper()
		select {
		case err := <-got:
			if !errors.Is(err, want) {
				t.Errorf("%v, want %v", err, want)
			}
		case <-time.After(10 * time.Second):
			t.Errorf("still waiting, want %v", want)
		}
	}
	g := s.Segment(1)
	got := wait(g, context.Background())
	s.Evict(1)
	expect(got, ErrGone)
	if s.Lookup(1) != nil {
		t.Error("evicted and still there")
	}

	g = s.Segment(2)
	got = wait(g, context.Background())
	g.Stop(io.ErrUnexpectedEOF)
	expect(got, io.ErrUnexpectedEOF)
	expect(wait(g, context.Background()), ErrStopped)
	g.Begin(nil)
	ctx, cancel := context.WithCancel(context.Background())
	got = wait(g, ctx)
	cancel()
	expect(got, context.Canceled)
}
