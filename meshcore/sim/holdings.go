package sim

import (
	"math/bits"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// ledger is the truth of which verified chunks a viewer holds, by rendition and
// the low bits of the sequence. The engines do not see it.
type ledger []shelved

type shelved struct {
	id   wire.SegmentID
	mask uint64
}

// shelved gives the place of a segment in a ledger; nil if a newer one is there.
func (w *lane) shelved(n *node, id wire.SegmentID) *shelved {
	if n.ledger == nil {
		n.ledger = make(ledger, int(w.shelf)*len(w.layouts))
	}
	sr := ref(id)
	s := &n.ledger[int64(sr.rendition)*w.shelf+sr.sequence&(w.shelf-1)]
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
func (w *lane) holds(n *node, id wire.SegmentID, chunk uint8) bool {
	s := w.shelved(n, id)
	return s != nil && s.mask>>chunk&1 == 1
}

// got notes a verified chunk.
func (w *lane) got(n *node, id wire.SegmentID, chunk uint8, fromPeer bool) {
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
func (w *lane) whole(n *node, id wire.SegmentID) bool {
	s := w.shelved(n, id)
	return s != nil && bits.OnesCount64(s.mask) == w.layouts[ref(id).rendition].Chunks()
}

// forget notes that an engine gave up a segment.
func (w *lane) forget(n *node, id wire.SegmentID) {
	if s := w.shelved(n, id); s != nil {
		s.mask = 0
	}
}
