package sim

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Times of the world that no scenario changes.
const (
	connectRTTs  = 5                     // round trips from answer to open channel: ICE 1, DTLS 2, SCTP 2
	gathering    = 20 * time.Millisecond // until an offer has its first candidates
	giveUpAfter  = 8 * time.Second       // until an attempt to connect fails
	closeAfter   = 2 * time.Second       // that a closing driver waits for what is queued
	silentFor    = 16 * time.Second      // until the edge takes a WebSocket without pongs for dead
	manifestRTTs = 4                     // TCP, TLS, multivariant playlist, media playlist
	sessionRTTs  = 5                     // session; TCP, TLS, upgrade, hello of the WebSocket
)

// givenUp marks an evDown that ends an attempt to connect and nothing else.
const givenUp = 1

// latency is the one-way time between two viewers: fixed for the pair.
func (w *world) latency(a, b int32) time.Duration {
	h := (uint64(min(a, b))<<32 | uint64(max(a, b))) * 0x9e3779b97f4a7c15
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	h ^= h >> 32
	f := float64(h>>11) / (1 << 53)
	d := millis(w.sc.LatencyMinMS + float64(f*(w.sc.LatencyMaxMS-w.sc.LatencyMinMS)))
	if w.nodes[a].region != w.nodes[b].region {
		d += millis(w.sc.RegionMS)
	}
	return d
}

// packet is what carries a control message besides its bytes: IPv4, UDP, the
// DTLS record, the SCTP and the data chunk header (RFC 8261, RFC 9260).
const packet = 20 + 8 + 13 + 16 + 12 + 16

// messageBytes is about what a control message takes on the wire.
func messageBytes(m *wire.Message, l integrity.Layout) int64 {
	switch m.Type {
	case wire.Have:
		return packet + 3 + 17*int64(len(m.Haves))
	case wire.Hello:
		return packet + 20 + 400 // with a pass
	case wire.Proof:
		return packet + 12 + 600 + integrity.HashSize*int64(l.Chunks()) // with a segment token
	}
	return packet + 22
}

// send has a control message leave on a link, behind what was sent on it before.
func (w *shard) send(n *node, to int32, l *link, m *wire.Message) {
	bytes := messageBytes(m, w.layouts[0])
	took := taking(bytes, n.up)
	n.upFree = max(n.upFree, w.now) + took
	l.free = max(l.free, w.now) + took
	w.m.messages++
	w.m.control += bytes
	w.push(event{at: passes(w, n, to, l.free+l.latency), kind: evMessage, from: n.id, to: to, ref: w.post(m)})
}

// sendChunk has a chunk leave, behind all chunks before it.
func (w *shard) sendChunk(n *node, f *peer.Effect) {
	to := nodeOf(f.Peer)
	l := n.open(to)
	if l == nil || !w.holds(n, f.Segment, f.Chunk) {
		if l != nil {
			w.m.violations++
		}
		w.push(event{at: w.now, kind: evSent, from: to, to: n.id})
		return
	}
	bytes := w.chunkBytes(ref(f.Segment).rendition, f.Chunk)
	n.upFree = max(n.upFree, w.now) + taking(bytes, n.chunkRate)
	l.free = max(l.free, n.upFree)
	n.tally.uploaded += bytes
	if l.relayed {
		w.m.relayed += bytes
	}
	w.push(event{at: passes(w, n, to, n.upFree), kind: evSent, from: to, to: n.id, ref: int32(bytes)})
	w.push(event{at: passes(w, n, to, n.upFree+l.latency), kind: evDownlink, from: n.id, to: to, seg: f.Segment, chunk: f.Chunk})
}

// throughDownlink has a chunk come through the downlink, which takes one after
// another. Its last byte arrives now, its first did when the sender began; it says
// whether the chunk is through already.
func (w *shard) throughDownlink(n *node, e *event) bool {
	bytes := w.chunkBytes(ref(e.seg).rendition, e.chunk)
	began := w.now - taking(bytes, w.nodes[e.from].chunkRate)
	n.downFree = max(w.now, max(n.downFree, began)+taking(bytes, n.down))
	if n.downFree == w.now {
		return true
	}
	w.push(event{at: n.downFree, kind: evChunk, from: e.from, to: e.to, seg: e.seg, chunk: e.chunk})
	return false
}

// connect sends an offer through the edge.
func (w *shard) connect(n *node, to int32) {
	v := n.addLink(to, w.latency(n.id, to))
	w.push(event{at: w.now + 2*w.origin() + gathering, kind: evOffer, from: n.id, to: to})
	w.push(event{at: w.now + giveUpAfter, kind: evDown, from: to, to: n.id, ref: v, chunk: givenUp})
}

// accept answers an offer; if NATs allow, or there is a relay, both sides are connected
// after some round trips, else both give up in time.
func (w *shard) accept(n *node, to int32) {
	n.unlink(to)
	v := n.addLink(to, w.latency(n.id, to))
	now := w.now
	w.later(func() { w.world.answered(now, n, w.nodes[to], v) })
}

// answered has an answer of n, whose side of the link has a version, reach o.
func (w *world) answered(now time.Duration, n, o *node, version int32) {
	l, other := o.link(n.id), n.link(o.id)
	direct := reach(n.nat, o.nat)
	if !o.here || l == nil || !direct && !w.sc.Relay || dead(now, n, o) {
		w.m.refused++
		w.q.push(&event{at: now + giveUpAfter, kind: evDown, from: o.id, to: n.id, ref: version, chunk: givenUp})
		return
	}
	if !direct && other != nil {
		for _, x := range [...]*link{l, other} {
			x.relayed, x.latency = true, 2*w.origin()
		}
	}
	at := now + 2*w.origin() + gathering + connectRTTs*2*l.latency
	w.q.push(&event{at: at, kind: evUp, from: o.id, to: n.id, ref: version})
	w.q.push(&event{at: at, kind: evUp, from: n.id, to: o.id, ref: l.version})
}

// disconnect closes one side; the other learns of it when what was sent has come,
// or when the driver has waited long enough for that.
func (w *shard) disconnect(n *node, to int32) {
	at := w.now
	if l := n.link(to); l != nil {
		at = max(at, min(l.free, at+closeAfter))
	}
	n.unlink(to)
	w.later(func() { w.world.closed(at, n, w.nodes[to]) })
}

// closed has o learn that n has closed its side.
func (w *world) closed(at time.Duration, n, o *node) {
	if l := o.link(n.id); l != nil {
		w.q.push(&event{at: at + l.latency + time.Millisecond, kind: evDown, from: n.id, to: o.id, ref: l.version})
	}
}

func (w *shard) stepTracker(in tracker.Input) {
	for _, f := range w.tracker.Step(w.now, in) {
		if f.Message != nil {
			w.push(event{at: w.now + w.origin(), kind: evToPeer, to: nodeOf(f.Peer), ref: w.postSignal(f.Message)})
		}
	}
	if at, ok := w.tracker.NextDeadline(); ok && at < w.trackerWake {
		w.world.trackerWake = max(at, w.now)
		w.push(event{at: w.trackerWake, kind: evTracker, to: edge})
	}
}
