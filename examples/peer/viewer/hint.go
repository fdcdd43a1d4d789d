package viewer

import (
	"github.com/viewmesh/viewmesh/examples/peer/origin"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// A playlist may hint at the part that comes next (EXT-X-PRELOAD-HINT), so that a
// player asks for it before it is complete, and the origin answers when it is. If
// all did so there would be nothing left for peers to give. Whoever is to fetch it
// anyway, by the engine's word, does it on the hint; the engine hears of
// it when the part is listed, as if it had come just then.

// hinted begins to fetch those of the hints that are this viewer's to fetch, and
// gives up what was fetched on a hint that came to nothing.
func (v *Viewer) hinted(hints []Segment, listed func(wire.SegmentID) bool) {
	still := map[wire.SegmentID]bool{}
	for _, h := range hints {
		id := v.ID(h.Resource)
		still[id] = true
		if !v.engine.Fetches(h.Sequence) || v.foreign(h.Resource) || listed(id) || v.fetching(id) || v.store.Lookup(id) != nil {
			continue
		}
		req := origin.Request{URL: h.URL, Offset: h.Offset, Length: h.Length, Statement: v.statement(h.Resource)}
		v.begin(&fetch{id: id, early: true, hinted: true}, v.store.Segment(id), req)
	}
	for f := range v.fetches {
		switch {
		case !f.early || f.gone || still[f.id]:
		case listed(f.id):
			v.handIn(f)
		default:
			v.giveUp(f)
		}
	}
}

// handIn tells the engine, which knows the manifest that lists it by now, what has
// come on a hint. What has not is as if an engine before had asked for it.
func (v *Viewer) handIn(f *fetch) {
	f.early, f.orphan = false, true
	if f.over {
		delete(v.fetches, f)
		if last := f.held[len(f.held)-1]; !last.OK { // the engine asks anew if it wants to
			f.held = f.held[:len(f.held)-1]
			v.base.OriginBytes += last.Bytes
		}
	}
	v.pending = append(v.pending, f.held...)
	f.held = nil
}

// giveUp ends a fetch that the engine will never hear of.
func (v *Viewer) giveUp(f *fetch) {
	f.cancel()
	f.gone = true
	v.store.Evict(f.id)
	if f.over {
		v.forget(f)
	}
}

// forget counts what a fetch brought that was given up.
func (v *Viewer) forget(f *fetch) {
	delete(v.fetches, f)
	v.base.OriginBytes += f.bytes
}
