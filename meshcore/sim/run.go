package sim

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Times of the world that no scenario changes.
const (
	connectRTTs = 3               // round trips from answer to open channel: ICE, DTLS, SCTP
	deadAfter   = 6 * time.Second // until a vanished neighbor is noticed (RFC 7675 consent)
	giveUpAfter = 8 * time.Second // until an attempt to connect fails
)

// givenUp marks an evDown that ends an attempt to connect and nothing else.
const givenUp = 1

// Run simulates a scenario under a policy. The same scenario, policy and seed
// give the same result. progress, if not nil, is called now and then with the
// simulated share of the run, 0 to 1.
func Run(sc Scenario, policy Policy, progress func(float64)) Result {
	w := newWorld(sc, policy, sc.Seed)
	every := w.end / 200
	tick := every
	for len(w.q.h) > 0 {
		e := w.q.pop()
		if e.at > w.end {
			break
		}
		w.now = e.at
		if progress != nil && w.now >= tick {
			tick += every
			progress(float64(w.now) / float64(w.end))
		}
		w.handle(&e)
	}
	return w.result()
}

func (w *world) handle(e *event) {
	switch e.kind {
	case evArrive:
		w.arrive(e.to)
		return
	case evToTracker:
		m := w.takeSignal(e.ref)
		w.stepTracker(tracker.Input{Kind: tracker.Receive, Peer: peerID(e.from), Message: m})
		return
	case evExodus:
		w.exodus()
		return
	case evWake:
		if e.to < 0 {
			if e.at == w.trackerWake {
				w.trackerWake = never
				w.stepTracker(tracker.Input{Kind: tracker.Tick})
			}
			return
		}
	}
	n := &w.nodes[e.to]
	var in peer.Input
	switch e.kind {
	case evMessage:
		i := e.ref
		if l := n.link(e.from); n.here && l != nil && l.open {
			in.Kind, in.Peer, in.Message = peer.Receive, peerID(e.from), &w.messages[i]
			w.step(n, &in)
		}
		w.messages[i] = wire.Message{}
		w.freeMessages = append(w.freeMessages, i)
		return
	case evDownlink, evChunk:
		if l := n.link(e.from); !n.here || l == nil || !l.open {
			return
		}
		sr := ref(e.seg)
		if e.kind == evDownlink { // it waits for what came before it
			n.downFree = max(w.now, n.downFree+time.Duration(float64(w.chunkBytes(sr.rendition, e.chunk))/n.down*float64(time.Second)))
			if n.downFree > w.now {
				w.q.push(event{at: n.downFree, kind: evChunk, from: e.from, to: e.to, seg: e.seg, chunk: e.chunk})
				return
			}
		}
		m := wire.Message{Type: wire.Chunk, Segment: e.seg, Index: e.chunk, Total: uint32(w.chunkBytes(sr.rendition, e.chunk))}
		in.Kind, in.Peer, in.Message = peer.Receive, peerID(e.from), &m
	case evWake:
		if e.ref != n.wake || !n.here {
			return
		}
		n.wakeAt = never
		if at := n.client.NextDeadline(); at > w.now {
			n.wakeAt = at
			n.wake++
			w.q.push(event{at: at, kind: evWake, to: n.id, ref: n.wake})
			return
		}
		in.Kind = peer.Tick
	case evSent:
		in.Kind, in.Peer, in.Bytes = peer.Sent, peerID(e.from), int64(e.ref)
	case evOrigin:
		sr := ref(e.seg)
		if e.chunk == 0xff {
			in.Kind, in.Segment, in.Layout = peer.OriginProof, e.seg, w.layouts[sr.rendition]
		} else {
			in.Kind, in.Segment, in.Chunk, in.Bytes = peer.OriginChunk, e.seg, e.chunk, w.chunkBytes(sr.rendition, e.chunk)
		}
	case evOriginEnd:
		in.Kind, in.Segment, in.OK = peer.OriginDone, e.seg, true
	case evToPeer:
		in.Kind, in.Signal = peer.SignalIn, w.takeSignal(e.ref)
	case evOffer:
		if !n.here {
			return
		}
		in.Kind, in.Peer = peer.Offered, peerID(e.from)
	case evUp:
		if l := n.link(e.from); l == nil || l.open || l.version != e.ref {
			return
		} else if o := &w.nodes[e.from]; !o.here || o.link(e.to) == nil {
			n.unlink(e.from)
			in.Kind, in.Peer = peer.NeighborDown, peerID(e.from)
		} else {
			l.open = true
			in.Kind, in.Peer = peer.NeighborUp, peerID(e.from)
		}
	case evDown:
		if l := n.link(e.from); l == nil || l.version != e.ref || (e.chunk == givenUp && l.open) {
			return
		}
		n.unlink(e.from)
		in.Kind, in.Peer = peer.NeighborDown, peerID(e.from)
	case evJoined:
		if n.here && w.policy != OriginOnly {
			w.stepTracker(tracker.Input{Kind: tracker.Join, Peer: peerID(e.to), Facts: tracker.Facts{Region: string(rune('a' + n.region)), ReceiveOnly: n.noUpload}})
			w.step(n, &peer.Input{Kind: peer.Joined})
		}
		return
	case evManifest:
		w.newManifest(n)
		return
	case evPlayer:
		w.playerEvent(n, e.ref)
		return
	case evLeave:
		w.leave(e.to)
		return
	case evSwitch:
		w.switchRendition(n)
		return
	}
	if n.here {
		w.step(n, &in)
	}
}

// step gives a node's engine an input and carries out the effects.
func (w *world) step(n *node, in *peer.Input) {
	effects := n.client.Step(w.now, in)
	var again []peer.Input
	for i := range effects {
		again = w.effect(n, &effects[i], again)
	}
	for i := range again {
		w.step(n, &again[i])
	}
	// A wake that comes too early does no harm: the engine is asked again then.
	if at := max(n.client.NextDeadline(), w.now); at < n.wakeAt {
		n.wakeAt = at
		n.wake++
		w.q.push(event{at: at, kind: evWake, to: n.id, ref: n.wake})
	}
}

// effect carries out one effect. What the driver answers at once is appended
// to again.
func (w *world) effect(n *node, f *peer.Effect, again []peer.Input) []peer.Input {
	to := nodeOf(f.Peer)
	switch f.Kind {
	case peer.Send:
		if n.liar && f.Message.Type == wire.Have {
			f.Message.Haves = lie(f.Message.Haves)
		}
		if l := n.link(to); l != nil && l.open {
			w.m.messages++
			w.q.push(event{at: w.now + w.latency(n.id, to), kind: evMessage, from: n.id, to: to, ref: w.putMessage(&f.Message)})
		}
	case peer.SendChunk:
		sr := ref(f.Segment)
		bytes := w.chunkBytes(sr.rendition, f.Chunk)
		n.upFree = max(n.upFree, w.now) + time.Duration(float64(bytes)/n.up*float64(time.Second))
		w.q.push(event{at: n.upFree, kind: evSent, from: to, to: n.id, ref: int32(bytes)})
		if o := &w.nodes[to]; o.here {
			w.m.uploaded(n.id, bytes)
			w.q.push(event{at: n.upFree + w.latency(n.id, to), kind: evDownlink, from: n.id, to: to, seg: f.Segment, chunk: f.Chunk})
		}
	case peer.SendProof:
		if l := n.link(to); l != nil && l.open {
			m := wire.Message{Type: wire.Proof, Segment: f.Segment}
			w.q.push(event{at: w.now + w.latency(n.id, to), kind: evMessage, from: n.id, to: to, ref: w.putMessage(&m)})
		}
	case peer.CheckPass:
		again = append(again, peer.Input{Kind: peer.PassChecked, Peer: f.Peer, OK: true})
	case peer.CheckProof:
		again = append(again, peer.Input{Kind: peer.ProofChecked, Peer: f.Peer, Segment: f.Segment, OK: true, Layout: w.layouts[ref(f.Segment).rendition]})
	case peer.CheckChunk:
		ok := !w.nodes[to].polluter
		again = append(again, peer.Input{Kind: peer.ChunkChecked, Peer: f.Peer, Segment: f.Segment, Chunk: f.Chunk, OK: ok})
	case peer.FetchOrigin:
		w.fetch(n, f)
	case peer.Complete:
		w.completed(n, f.Segment)
	case peer.Evict:
	case peer.Signal:
		if w.policy != OriginOnly {
			w.q.push(event{at: w.now + w.origin(), kind: evToTracker, from: n.id, ref: w.putSignal(f.Signal)})
		}
	case peer.Connect:
		w.connect(n, to)
	case peer.Accept:
		w.accept(n, to)
	case peer.Disconnect:
		w.disconnect(n, to)
	}
	return again
}

func lie(haves []wire.SegmentHave) []wire.SegmentHave {
	out := make([]wire.SegmentHave, len(haves))
	for i, h := range haves {
		if h.Chunks != 0 {
			h.Mask = wire.All(int(h.Chunks))
		}
		out[i] = h
	}
	return out
}

func (w *world) chunkBytes(rendition int, chunk uint8) int64 {
	from, to := w.layouts[rendition].Range(int(chunk))
	return to - from
}

// fetch has the origin send chunks of a segment, one after the other.
func (w *world) fetch(n *node, f *peer.Effect) {
	sr := ref(f.Segment)
	l := w.layouts[sr.rendition]
	mask := f.Chunks
	if mask == 0 {
		mask = wire.All(l.Chunks())
	}
	at := w.now + 2*w.origin()
	w.q.push(event{at: at, kind: evOrigin, to: n.id, seg: f.Segment, chunk: 0xff})
	w.m.fetches++
	w.m.originChunks(w.now, sr, ones(mask), l.Chunks())
	for c := range l.Chunks() {
		if mask>>c&1 == 0 {
			continue
		}
		bytes := float64(w.chunkBytes(sr.rendition, uint8(c)))
		w.m.egress(w.now, int64(bytes))
		if w.sc.OriginMbps > 0 {
			w.originFree = max(w.originFree, w.now) + time.Duration(bytes/bytesPerSecond(w.sc.OriginMbps)*float64(time.Second))
			at = max(at, w.originFree+w.origin())
		}
		n.downFree = max(n.downFree, at) + time.Duration(bytes/n.down*float64(time.Second))
		w.q.push(event{at: n.downFree, kind: evOrigin, to: n.id, seg: f.Segment, chunk: uint8(c)})
	}
	w.q.push(event{at: max(at, n.downFree), kind: evOriginEnd, to: n.id, seg: f.Segment})
}

// connect sends an offer through the edge.
func (w *world) connect(n *node, to int32) {
	n.links = append(n.links, link{to: to, version: n.nextVersion()})
	w.q.push(event{at: w.now + 2*w.origin() + 20*time.Millisecond, kind: evOffer, from: n.id, to: to})
	w.q.push(event{at: w.now + giveUpAfter, kind: evDown, from: to, to: n.id, ref: n.version, chunk: givenUp})
}

func (n *node) nextVersion() int32 { n.version++; return n.version }

// accept answers an offer; if NATs allow, both sides are connected after some
// round trips, else both give up in time.
func (w *world) accept(n *node, to int32) {
	if n.link(to) != nil {
		n.unlink(to)
	}
	v := n.nextVersion()
	n.links = append(n.links, link{to: to, version: v})
	o := &w.nodes[to]
	ol := o.link(n.id)
	if !o.here || ol == nil || !w.connects(n.id, to) {
		w.m.refused++
		w.q.push(event{at: w.now + giveUpAfter, kind: evDown, from: to, to: n.id, ref: v, chunk: givenUp})
		return
	}
	at := w.now + 2*w.origin() + connectRTTs*2*w.latency(n.id, to)
	w.q.push(event{at: at, kind: evUp, from: to, to: n.id, ref: v})
	w.q.push(event{at: at, kind: evUp, from: n.id, to: to, ref: ol.version})
}

// disconnect closes one side; the other learns of it after the latency.
func (w *world) disconnect(n *node, to int32) {
	n.unlink(to)
	if o := &w.nodes[to]; o.here {
		if l := o.link(n.id); l != nil {
			w.q.push(event{at: w.now + w.latency(n.id, to) + time.Millisecond, kind: evDown, from: n.id, to: to, ref: l.version})
		} else {
			// An offer was refused, or its connection is just being made.
			return
		}
	}
}

func (w *world) stepTracker(in tracker.Input) {
	for _, f := range w.tracker.Step(w.now, in) {
		switch f.Kind {
		case tracker.Send, tracker.Close:
			if f.Message != nil {
				w.q.push(event{at: w.now + w.origin(), kind: evToPeer, to: nodeOf(f.Peer), ref: w.putSignal(f.Message)})
			}
		}
	}
	if at, ok := w.tracker.NextDeadline(); ok && at < w.trackerWake {
		w.trackerWake = max(at, w.now)
		w.q.push(event{at: w.trackerWake, kind: evWake, to: -1})
	}
}
