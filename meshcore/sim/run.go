package sim

import (
	"strconv"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Options of a run.
type Options struct {
	// Progress, if not nil, is called about 200 times with the share of the run that
	// is done, 0 to 1.
	Progress func(share float64)
	// Parallel, if not nil, calls do with 0 to n-1, once each, in any order and side by
	// side as it likes, and returns when all calls have. The result is the same.
	// Default: one after another, as it always is where the origin's uplink is limited.
	Parallel func(n int, do func(i int))
}

// Run simulates a scenario, which [Scenario.Check] has accepted, under a policy.
// The same scenario, policy and seed give the same result.
func Run(sc Scenario, policy Policy, o Options) Result {
	w := newWorld(sc, policy)
	w.run(o)
	return w.result()
}

func (w *world) run(o Options) {
	every := w.end/200 + 1
	tick := every
	for {
		today := w.q.next()
		at := w.q.reached()
		if len(today) == 0 || at > w.end {
			break
		}
		if at >= tick && o.Progress != nil {
			tick += every
			o.Progress(float64(at) / float64(w.end))
		}
		w.now = at
		w.window(today, o.Parallel)
	}
	w.now = w.end
	for i := range w.shards {
		w.m.add(&w.shards[i].m)
		w.shards[i].m = counts{}
	}
}

// note takes an event into a hash.
func note(h uint64, e *event) uint64 {
	const k = 0x9e3779b97f4a7c15
	h = (h ^ uint64(e.at)) * k
	h = (h ^ h>>29 ^ uint64(e.from)<<32 ^ uint64(uint32(e.to))) * k
	h = (h ^ h>>31 ^ uint64(e.seg) ^ uint64(e.kind)<<40 ^ uint64(e.chunk)<<32) * k
	return h ^ h>>32
}

// handle has an event happen.
func (w *shard) handle(e *event) {
	if e.to == edge {
		w.world.trace = note(w.trace, e)
		w.atEdge(e)
		return
	}
	n := w.nodes[e.to]
	n.trace = note(n.trace, e)
	switch e.kind {
	case evWake:
		w.wake(n, e.at)
	case evMessage:
		if n.here && n.open(e.from) != nil {
			w.give(n, peer.Input{Kind: peer.Receive, Peer: peerID(e.from), Message: &w.messages.all[e.ref].Message})
		}
		w.read = append(w.read, e.ref)
	case evDownlink, evChunk:
		if n.here && n.open(e.from) != nil && (e.kind == evChunk || w.throughDownlink(n, e)) {
			w.chunk = wire.Message{Type: wire.Chunk, Segment: e.seg, Index: e.chunk, Total: uint32(w.chunkBytes(ref(e.seg).rendition, e.chunk))}
			w.give(n, peer.Input{Kind: peer.Receive, Peer: peerID(e.from), Message: &w.chunk})
		}
	case evSent:
		w.give(n, peer.Input{Kind: peer.Sent, Peer: peerID(e.from), Bytes: int64(e.ref)})
	case evHeaders, evOrigin:
		fromOrigin(w, n, e)
	case evToPeer:
		w.give(n, peer.Input{Kind: peer.SignalIn, Signal: w.delivered(e.ref)})
	case evOffer:
		w.give(n, peer.Input{Kind: peer.Offered, Peer: peerID(e.from)})
	case evUp, evDown:
		w.linkEvent(n, e)
	case evArrive:
		w.arrive(n)
	case evJoined:
		w.join(n)
	case evManifest:
		w.newManifest(n)
	case evPlayer:
		w.playerEvent(n, e.ref)
	case evLeave:
		if n.here {
			w.leave(n, w.now+w.origin())
			at := w.now + time.Second
			w.later(func() { w.newcomer(at) })
		}
	case evSwitch:
		w.switchRendition(n)
	}
}

// atEdge has an event happen at the edge, or to all viewers.
func (w *shard) atEdge(e *event) {
	from := peerID(e.from)
	switch e.kind {
	case evTracker:
		if e.at == w.trackerWake {
			w.world.trackerWake = never
			w.stepTracker(tracker.Input{Kind: tracker.Tick})
		}
	case evToTracker:
		w.stepTracker(tracker.Input{Kind: tracker.Receive, Peer: from, Message: w.delivered(e.ref)})
	case evEnter:
		if n := w.nodes[e.from]; n.here {
			w.stepTracker(tracker.Input{Kind: tracker.Join, Peer: from, Facts: tracker.Facts{Region: "r" + strconv.Itoa(n.region), ReceiveOnly: n.noUpload}})
		}
	case evLost:
		w.stepTracker(tracker.Input{Kind: tracker.Leave, Peer: from})
	case evExodus:
		w.exodus()
	case evPaths:
		pathsDie(w)
	}
}

// delivered gives a signal message that has come.
func (w *shard) delivered(ref int32) *signal.Message {
	w.later(func() { w.world.signals.drop(ref) })
	return w.world.signals.all[ref]
}

// meet notes for an evUp, before the turns of its window, whether the other side is
// still there.
func (w *world) meet(e *event) {
	if o := w.nodes[e.from]; o.here && o.link(e.to) != nil {
		e.chunk = met
	}
}

// met marks an evUp of a connection whose other side is there.
const met = 1

// linkEvent opens a link that was being opened, or ends one.
func (w *shard) linkEvent(n *node, e *event) {
	l := n.link(e.from)
	if !n.here || l == nil || l.version != e.ref {
		return
	}
	if e.kind == evUp {
		if l.open {
			return
		}
		if e.chunk == met {
			l.open = true
			w.give(n, peer.Input{Kind: peer.NeighborUp, Peer: peerID(e.from), Relayed: l.relayed})
			return
		}
	} else if e.chunk == givenUp && l.open {
		return
	}
	n.unlink(e.from)
	w.give(n, peer.Input{Kind: peer.NeighborDown, Peer: peerID(e.from)})
}

// wake calls a client if it still wants to be called. Calls under way are not
// taken back: those that come too early do no harm.
func (w *shard) wake(n *node, at time.Duration) {
	if !n.here || at != n.wakeAt {
		return
	}
	n.wakeAt, n.wakeNext = n.wakeNext, never
	if n.client.NextDeadline() <= w.now {
		w.give(n, peer.Input{Kind: peer.Tick})
		return
	}
	w.schedule(n)
}

// schedule has a client called at its next deadline.
func (w *shard) schedule(n *node) {
	at := max(n.client.NextDeadline(), w.now)
	if at >= n.wakeAt || at == never {
		return
	}
	n.wakeAt, n.wakeNext = at, n.wakeAt
	w.push(event{at: at, kind: evWake, to: n.id})
}

// give gives a viewer's engine an input, if the viewer is here.
func (w *shard) give(n *node, in peer.Input) {
	if n.here {
		w.in = in
		w.step(n, &w.in)
	}
}

// step gives a viewer's engine an input, carries out the effects, and gives it
// the answers to those that the driver answers at once.
func (w *shard) step(n *node, in *peer.Input) {
	w.again = w.again[:0]
	for i := -1; i < len(w.again); i++ {
		if i >= 0 {
			in = &w.again[i]
		}
		effects := n.client.Step(w.now, in)
		for j := range effects {
			w.effect(n, &effects[j])
		}
	}
	w.schedule(n)
}

// effect carries out one effect.
func (w *shard) effect(n *node, f *peer.Effect) {
	to := nodeOf(f.Peer)
	switch f.Kind {
	case peer.Send:
		w.sendMessage(n, to, f)
	case peer.SendChunk:
		w.sendChunk(n, f)
	case peer.SendProof:
		if l := n.open(to); l != nil {
			w.send(n, to, l, &wire.Message{Type: wire.Proof, Segment: f.Segment})
		}
	case peer.CheckPass:
		w.answer(peer.Input{Kind: peer.PassChecked, Peer: f.Peer, OK: true})
	case peer.CheckProof:
		w.answer(peer.Input{Kind: peer.ProofChecked, Peer: f.Peer, Segment: f.Segment, OK: true, Layout: w.layouts[ref(f.Segment).rendition]})
	case peer.CheckChunk:
		ok := !w.nodes[to].polluter
		if ok {
			w.got(n, f.Segment, f.Chunk, true)
		}
		w.answer(peer.Input{Kind: peer.ChunkChecked, Peer: f.Peer, Segment: f.Segment, Chunk: f.Chunk, OK: ok})
	case peer.FetchOrigin:
		fetchOrigin(w, n, f)
	case peer.CancelOrigin:
		cancelOrigin(w, n, f.Segment)
	case peer.Complete:
		if !w.whole(n, f.Segment) {
			w.m.violations++
		}
		w.completed(n, f.Segment)
	case peer.Evict:
		w.forget(n, f.Segment)
	case peer.Signal:
		w.signal(n, f.Signal)
	case peer.Connect:
		w.connect(n, to)
	case peer.Accept:
		w.accept(n, to)
	case peer.Disconnect:
		w.disconnect(n, to)
	}
}

// answer gives the engine an input when its present step is done.
func (w *shard) answer(in peer.Input) { w.again = append(w.again, in) }

// sendMessage sends what the engine wants to send, or what a liar sends instead.
func (w *shard) sendMessage(n *node, to int32, f *peer.Effect) {
	l := n.open(to)
	if l == nil {
		return
	}
	m := f.Message
	if n.liar {
		if m.Type == wire.Reject && n.mute {
			return
		}
		if m.Type == wire.Have {
			m.Haves = lie(m.Haves)
		}
	}
	w.send(n, to, l, &m)
}

// lie says that all of each segment is there.
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

// signal sends a message to the edge, or keeps it until the session is open: the
// driver's queue.
func (w *shard) signal(n *node, m *signal.Message) {
	switch {
	case w.policy == OriginOnly:
	case !n.joined:
		n.held = append(n.held, m)
	default:
		w.push(event{at: w.now + w.origin(), kind: evToTracker, from: n.id, to: edge, ref: w.postSignal(m)})
	}
}

// join tells a viewer that its session is open.
func (w *shard) join(n *node) {
	if !n.here || w.policy == OriginOnly {
		return
	}
	n.joined = true
	for _, m := range n.held {
		w.signal(n, m)
	}
	n.held = nil
}
