package store

import (
	"bytes"
	"errors"
	"testing"
)

// TestOneVersion: a reader never gets bytes of two versions of a segment, whichever comes
// first and wherever they differ.
func TestOneVersion(t *testing.T) {
	old, proof := segment(t, 60_000)
	size := proof.Layout.ChunkSize
	fresh := bytes.Clone(old)
	fresh[size+size/2]++ // in the second chunk
	put := func(g *Segment, i int) {
		if err := g.PutChunk(i, chunkOf(old, proof.Layout, i)); err != nil {
			t.Fatal(err)
		}
	}
	stream := func(g *Segment, data []byte, until int) {
		g.StartRaw(int64(len(data)))
		g.AppendRaw(data[:size/4])
		g.AppendRaw(data[size/4 : until])
	}
	for _, c := range []struct {
		name   string
		before func(g *Segment) // then the reader takes what there is
		after  func(g *Segment)
		want   []byte // nil: it ends with ErrChanged
	}{
		{"chunks, then the same from the origin", func(g *Segment) { put(g, 0); put(g, 1) },
			func(g *Segment) { stream(g, old, len(old)); g.FinishRaw() }, old},
		{"a chunk in which nothing has changed, then the origin's", func(g *Segment) { put(g, 0) },
			func(g *Segment) { stream(g, fresh, len(fresh)); g.FinishRaw() }, fresh},
		{"chunks, then others from the origin", func(g *Segment) { put(g, 0); put(g, 1) },
			func(g *Segment) { stream(g, fresh, len(fresh)); g.FinishRaw() }, nil},
		{"chunks that come while the origin's do", func(g *Segment) { put(g, 0); stream(g, fresh, size/2) },
			func(g *Segment) { put(g, 1); g.AppendRaw(fresh[size/2:]); g.FinishRaw() }, fresh},
		{"an answer that breaks off, then the same", func(g *Segment) { stream(g, old, 2*size) },
			func(g *Segment) { stream(g, old, len(old)); g.FinishRaw() }, old},
		{"an answer that breaks off, then another", func(g *Segment) { stream(g, old, 2*size) },
			func(g *Segment) { stream(g, fresh, len(fresh)); g.FinishRaw() }, nil},
		{"an answer that breaks off, then all chunks of another", func(g *Segment) { stream(g, fresh, 2*size) },
			func(g *Segment) {
				for i := range proof.Layout.Chunks() {
					put(g, i)
				}
			}, nil},
	} {
		g, _ := New(nil).Prove(1, proof)
		c.before(g)
		r := g.Reader(0)
		var got bytes.Buffer
		for {
			g.mu.Lock()
			there := g.from(r.at) != nil
			g.mu.Unlock()
			if !there {
				break
			}
			p, err := r.Next(t.Context())
			if err != nil {
				t.Fatalf("%s: %v", c.name, err)
			}
			got.Write(p)
			r.Advance(len(p))
		}
		c.after(g)
		err := read(r, &got)
		if c.want == nil && !errors.Is(err, ErrChanged) || c.want != nil && (err != nil || !bytes.Equal(got.Bytes(), c.want)) {
			t.Errorf("%s: read %d bytes, %v", c.name, got.Len(), err)
		}
		var anew bytes.Buffer
		if err := read(g.Reader(0), &anew); err != nil || !bytes.Equal(anew.Bytes(), old) && !bytes.Equal(anew.Bytes(), fresh) {
			t.Errorf("%s: who reads afterwards: %d bytes, %v", c.name, anew.Len(), err)
		}
	}
}
