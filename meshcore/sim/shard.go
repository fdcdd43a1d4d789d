package sim

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Viewers act on each other only after the least latency. So in a window that is no
// longer each viewer's events can happen in a turn of its own, whatever the others do
// in the same window (conservative lookahead; Chandy and Misra, 1979): its engine stays
// in the processor's cache for its turn, and turns can go side by side.

// shard is the world as seen from the turns of some viewers: they read what all
// share, change what is of the viewer whose turn it is alone, and leave what concerns
// others in the shard until the window is over ([world.settle]). So it does not matter
// how turns are divided among shards, and in what order shards go.
type shard struct {
	*world
	now   time.Duration
	turn  int32         // whose turn it is
	until time.Duration // end of the window
	own   eventHeap     // what the viewer whose turn it is gave itself for this window

	m       counts
	out     []event           // for later windows
	letters []letter          // messages that they refer to
	signals []*signal.Message // the same
	read    []int32           // messages that came
	then    []func()          // what changes the world

	event event // that the viewer gave itself
	// Scratch of a step.
	again []peer.Input // what the driver answers to the effects
	in    peer.Input
	chunk wire.Message
}

// letter is a control message on its way; the same haves go to many.
type letter struct {
	wire.Message
	uses int32
	at   int32 // place in messages
}

// shards is how many shards a window is divided into: a few for each core, so that all
// have something to do until its end.
const shards = 8

// fewTurns is how many events are not worth being divided.
const fewTurns = 64

// window has the events of a window happen: first those of the edge, then those of
// the viewers.
func (w *world) window(today []event, parallel func(n int, do func(i int))) {
	if w.sc.Live {
		w.liveEdge(w.now, w.q.until())
	}
	k := 0
	for k < len(today) && today[k].to == edge {
		k++
	}
	if k > 0 {
		w.shards[0].run(today[:k], w.shards[0].handle)
		w.settle()
	}
	today = today[k:]
	for i := range today {
		if e := &today[i]; e.kind == evUp {
			w.meet(e)
		}
	}
	n := len(w.shards)
	if len(today) <= fewTurns {
		n = 1
	}
	parts := w.parts[:0]
	for i := range n {
		to := len(today) / (n - i)
		for to < len(today) && to > 0 && today[to].to == today[to-1].to {
			to++
		}
		parts = append(parts, today[:to])
		today = today[to:]
	}
	w.parts = parts
	do := func(i int) { w.shards[i].run(parts[i], w.shards[i].handle) }
	if parallel == nil || n == 1 || w.sc.OriginMbps > 0 { // the origin's uplink is shared at once
		for i := range n {
			do(i)
		}
	} else {
		parallel(n, do)
	}
	w.settle()
}

// run has the turns of a part of a window happen.
func (w *shard) run(today []event, handle func(e *event)) {
	w.until = w.q.until()
	for len(today) > 0 {
		w.turn = today[0].to
		for {
			e := &w.event
			if len(today) > 0 && today[0].to == w.turn && today[0].at <= w.own.next() {
				e, today = &today[0], today[1:]
			} else if w.own.len() > 0 {
				*e = w.own.pop()
			} else {
				break
			}
			if e.at > w.end {
				continue
			}
			w.now = e.at
			handle(e)
		}
	}
}

// push puts an event in. What a viewer does to another takes effect in a later
// window.
func (w *shard) push(e event) {
	if e.to == w.turn && e.at < w.until {
		w.own.push(e)
		return
	}
	w.out = append(w.out, e)
}

// post keeps a message for an event to refer to.
func (w *shard) post(m *wire.Message) int32 {
	if n := len(w.letters); n > 0 {
		if l := &w.letters[n-1]; m.Type == wire.Have && l.Type == wire.Have && same(m.Haves, l.Haves) {
			l.uses++
			return int32(n - 1)
		}
	}
	w.letters = append(w.letters, letter{*m, 1, 0})
	return int32(len(w.letters) - 1)
}

func same(a, b []wire.SegmentHave) bool { return len(a) == len(b) && len(a) > 0 && &a[0] == &b[0] }

// postSignal is the same for a signal message.
func (w *shard) postSignal(m *signal.Message) int32 {
	w.signals = append(w.signals, m)
	return int32(len(w.signals) - 1)
}

// later has something happen to the world when the window is over.
func (w *shard) later(f func()) { w.then = append(w.then, f) }

// settle has what the shards left happen, in their order: that of the viewers.
func (w *world) settle() {
	for i := range w.shards {
		l := &w.shards[i]
		for j := range l.letters {
			l.letters[j].at = w.messages.put(l.letters[j])
		}
		for j := range l.out {
			e := &l.out[j]
			switch e.kind {
			case evMessage:
				e.ref = l.letters[e.ref].at
			case evToTracker, evToPeer:
				e.ref = w.signals.put(l.signals[e.ref])
			}
			w.q.push(e)
		}
		for _, j := range l.read {
			if m := &w.messages.all[j]; m.uses > 1 {
				m.uses--
			} else {
				w.messages.drop(j)
			}
		}
		clear(l.letters)
		clear(l.signals)
		l.out, l.letters, l.signals, l.read = l.out[:0], l.letters[:0], l.signals[:0], l.read[:0]
	}
	for i := range w.shards {
		l := &w.shards[i]
		for _, f := range l.then {
			f()
		}
		clear(l.then)
		l.then = l.then[:0]
	}
}
