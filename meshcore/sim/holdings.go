package sim

import (
	"math/bits"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// shelved gives the place of a segment in the holdings; nil if a newer one is there.
func (w *shard) shelved(n *node, id wire.SegmentID) *shelved {
	if n.holdings == nil {
		n.holdings = make(holdings, int(w.shelf)*len(w.layouts))
	}
	sr := ref(id)
	s := &n.holdings[int64(sr.rendition)*w.shelf+sr.sequence&(w.shelf-1)]
	switch {
	case s.id == id:
	case s.id < id:
		*s = shelved{id: id}
	default:
		return nil
	}
	return s
}

// holds says whether a viewer holds a chunk.
func (w *shard) holds(n *node, id wire.SegmentID, chunk uint8) bool {
	s := w.shelved(n, id)
	return s != nil && s.mask>>chunk&1 == 1
}

// got notes a verified chunk.
func (w *shard) got(n *node, id wire.SegmentID, chunk uint8, fromPeer bool) {
	s := w.shelved(n, id)
	if s == nil || s.mask>>chunk&1 == 1 {
		return
	}
	s.mask |= 1 << chunk
	bytes := w.chunkBytes(ref(id).rendition, chunk)
	w.m.got(w.now, bytes, fromPeer)
	if w.onGot != nil {
		w.onGot(w.now, n, id, chunk, fromPeer)
	}
}

// whole says whether a viewer holds all of a segment.
func (w *shard) whole(n *node, id wire.SegmentID) bool {
	s := w.shelved(n, id)
	return s != nil && bits.OnesCount64(s.mask) == w.layouts[ref(id).rendition].Chunks()
}

// forget notes that an engine gave up a segment.
func (w *shard) forget(n *node, id wire.SegmentID) {
	if s := w.shelved(n, id); s != nil {
		s.mask = 0
	}
}
