package sim

import (
	"math/bits"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// The edge says that the origin is scarce from when it is behind by so much until it was
// not for so long.
const (
	scarceBacklog = 250 * time.Millisecond
	scarceFor     = 10 * time.Second
)

// fetchOrigin asks the origin for chunks of a segment; its answer begins a round trip
// later and goes on chunk by chunk.
func fetchOrigin(w *shard, n *node, f *peer.Effect) {
	mask := f.Chunks
	if mask == 0 {
		mask = wire.All(w.layouts[ref(f.Segment).rendition].Chunks())
	}
	w.m.fetches++
	w.push(event{at: w.now + 2*w.origin(), kind: evHeaders, to: n.id, seg: f.Segment, ref: n.fetches.put(fetch{seg: f.Segment, mask: mask, asked: w.now})})
}

// cancelOrigin ends a viewer's fetches of a segment after the chunk under way.
func cancelOrigin(w *shard, n *node, id wire.SegmentID) {
	for i := range n.fetches.all {
		if f := &n.fetches.all[i]; f.seg == id {
			f.cancelled = true
		}
	}
}

// nextChunk has the origin send the next chunk of a fetch; false if there is none.
func nextChunk(w *shard, n *node, i int32) bool {
	f := &n.fetches.all[i]
	if f.mask == 0 || f.cancelled {
		return false
	}
	f.sending = uint8(bits.TrailingZeros64(f.mask))
	f.mask &= f.mask - 1
	sr := ref(f.seg)
	bytes := w.chunkBytes(sr.rendition, f.sending)
	at := w.now
	if w.sc.OriginMbps > 0 { // it left the origin a while ago, but not before its turn
		w.world.originAt = originSends(w.world, max(w.originAt, w.now-w.origin()), bytes)
		at = max(at, w.originAt+w.origin())
		if w.originAt-w.now > scarceBacklog {
			w.world.scarceBy = w.now + scarceFor
		}
	}
	if w.sc.ConnectionMbps > 0 {
		at = max(at, w.now+taking(bytes, bytesPerSecond(w.sc.ConnectionMbps)))
	}
	w.m.egress(at, sr, bytes)
	n.downFree = max(n.downFree, at) + taking(bytes, n.down)
	w.push(event{at: n.downFree, kind: evOrigin, to: n.id, seg: f.seg, chunk: f.sending, ref: i})
	return true
}

// fromOrigin goes on with a fetch whose headers or chunk have come.
func fromOrigin(w *shard, n *node, e *event) {
	f := &n.fetches.all[e.ref]
	if !n.here {
		if e.kind == evOrigin {
			w.m.lost += w.chunkBytes(ref(e.seg).rendition, e.chunk)
		}
		n.fetches.drop(e.ref)
		return
	}
	rendition := ref(e.seg).rendition
	switch {
	case e.kind == evHeaders:
		f.began = w.now
		if !f.cancelled {
			w.give(n, peer.Input{Kind: peer.OriginProof, Segment: e.seg, Layout: w.layouts[rendition]})
		}
	default:
		bytes := w.chunkBytes(rendition, e.chunk)
		f.bytes += bytes
		w.m.delivered += bytes
		w.got(n, e.seg, e.chunk, false)
		w.give(n, peer.Input{Kind: peer.OriginChunk, Segment: e.seg, Chunk: e.chunk, Bytes: bytes})
	}
	if !nextChunk(w, n, e.ref) {
		f := n.fetches.all[e.ref]
		n.fetches.drop(e.ref)
		if w.policy == Mesh { // no other client learns from it
			w.give(n, peer.Input{Kind: peer.OriginTimed, Segment: e.seg, Bytes: f.bytes, Within: f.began - f.asked, Took: w.now - f.began})
		}
		w.give(n, peer.Input{Kind: peer.OriginDone, Segment: e.seg, OK: !f.cancelled})
	}
}

// originSends is when the origin has sent bytes that it begins to send at from.
func originSends(w *world, from time.Duration, bytes int64) time.Duration {
	left, rate := float64(bytes), bytesPerSecond(w.sc.OriginMbps)
	for _, o := range w.sc.Outages {
		begin, end := seconds(o.FromS), seconds(o.ToS)
		if from >= end {
			continue
		}
		if could := float64(rate * (begin - from).Seconds()); begin > from {
			if left <= could {
				break
			}
			left -= could
			from = begin
		}
		slow := float64(rate * o.Share)
		could := float64(slow * (end - from).Seconds())
		if left <= could {
			return from + time.Duration(left/slow*float64(time.Second))
		}
		left -= could
		from = end
	}
	return from + time.Duration(left/rate*float64(time.Second))
}
