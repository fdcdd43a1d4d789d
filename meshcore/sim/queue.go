package sim

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// event is one thing that happens at a time. What from, to, ref, seg and chunk
// mean follows from kind.
type event struct {
	at       time.Duration
	seq      uint64 // order among events of one time
	seg      wire.SegmentID
	from, to int32
	ref      int32
	kind     eventKind
	chunk    uint8
}

type eventKind uint8

const (
	evWake      eventKind = iota // to: the client asked to be called (ref: its version)
	evMessage                    // from, to: a control message arrives (ref: messages)
	evDownlink                   // from, to: a chunk reaches the downlink
	evChunk                      // from, to: a chunk has come through it
	evSent                       // to: a chunk has left its uplink (ref: bytes)
	evOrigin                     // to: a chunk came from the origin
	evOriginEnd                  // to: a fetch ended
	evToTracker                  // from: a signal message reaches the tracker (ref: signals)
	evToPeer                     // to: a signal message reaches a peer (ref: signals)
	evOffer                      // from, to: an offer arrives
	evUp                         // from, to: a connection is open (both sides)
	evDown                       // from, to: "to" learns that the connection to "from" is gone
	evArrive                     // to: a viewer comes
	evJoined                     // to: its session is open
	evManifest                   // to: its media playlist is new
	evPlayer                     // to: the playhead reaches the end of a segment (ref: player's version)
	evLeave                      // to: a viewer goes
	evSwitch                     // to: it changes the rendition
	evExodus                     // many leave at once
)

// eventQueue is a 4-ary heap by time, then by order of insertion.
type eventQueue struct {
	h   []event
	seq uint64
}

func (q *eventQueue) push(e event) {
	q.seq++
	e.seq = q.seq
	q.h = append(q.h, e)
	i := len(q.h) - 1
	for i > 0 {
		p := (i - 1) / 4
		if !earlier(&e, &q.h[p]) {
			break
		}
		q.h[i] = q.h[p]
		i = p
	}
	q.h[i] = e
}

func (q *eventQueue) pop() event {
	top := q.h[0]
	n := len(q.h) - 1
	last := q.h[n]
	q.h = q.h[:n]
	if n == 0 {
		return top
	}
	i := 0
	for {
		c := 4*i + 1
		if c >= n {
			break
		}
		best := c
		for j := c + 1; j < min(c+4, n); j++ {
			if earlier(&q.h[j], &q.h[best]) {
				best = j
			}
		}
		if !earlier(&q.h[best], &last) {
			break
		}
		q.h[i] = q.h[best]
		i = best
	}
	q.h[i] = last
	return top
}

func earlier(a, b *event) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.seq < b.seq
}
