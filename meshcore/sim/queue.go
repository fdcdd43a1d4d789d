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
	evWake      eventKind = iota // to: the client asked to be called
	evMessage                    // from, to: a control message arrives (ref: messages)
	evDownlink                   // from, to: a chunk reaches the downlink
	evChunk                      // from, to: a chunk has come through it
	evSent                       // to: a chunk has left its uplink (from: receiver, ref: bytes)
	evHeaders                    // to: the origin's answer begins (ref: fetches)
	evOrigin                     // to: a chunk came from the origin (ref: fetches)
	evToTracker                  // from: a signal message reaches the tracker (ref: signals)
	evToPeer                     // to: a signal message reaches a peer (ref: signals)
	evOffer                      // from, to: an offer arrives
	evUp                         // from, to: a connection is open (both sides)
	evDown                       // from, to: "to" learns that the connection to "from" is gone
	evArrive                     // to: a viewer comes
	evJoined                     // to: its session is open
	evLost                       // to: the edge notices that it is gone
	evManifest                   // to: its media playlist is new
	evPlayer                     // to: the playhead reaches the end of a segment (ref: player's version)
	evLeave                      // to: a viewer goes
	evSwitch                     // to: it changes the rendition
	evExodus                     // many leave at once
	evTracker                    // the tracker asked to be called
)

// eventQueue gives events in the order of their time, and those of one time in
// the order they were put in. It is a calendar queue (Brown, 1988): events of
// the next seconds lie unsorted in buckets of half a millisecond, only the
// bucket at hand is a heap, so that the heap stays small however many events
// there are; what lies further ahead waits in a heap of its own.
type eventQueue struct {
	day    int64 // number of the bucket at hand
	today  eventHeap
	days   [calendar][]event
	inDays int
	far    eventHeap
	free   [][]event // storage of past buckets
	seq    uint64
}

const (
	dayBits  = 19      // a bucket is 2^19 ns
	calendar = 1 << 14 // buckets: 8.6 s
)

// push puts an event in; one of the past comes next.
func (q *eventQueue) push(e event) {
	q.seq++
	e.seq = q.seq
	switch day := int64(e.at >> dayBits); {
	case day <= q.day:
		q.today.push(e)
	case day < q.day+calendar:
		q.put(day, e)
	default:
		q.far.push(e)
	}
}

func (q *eventQueue) put(day int64, e event) {
	b := &q.days[day%calendar]
	if *b == nil && len(q.free) > 0 {
		*b, q.free = q.free[len(q.free)-1], q.free[:len(q.free)-1]
	}
	*b = append(*b, e)
	q.inDays++
}

// pop takes the next event out; ok is false if there is none.
func (q *eventQueue) pop() (e event, ok bool) {
	for len(q.today) == 0 {
		if q.inDays == 0 && len(q.far) == 0 {
			return event{}, false
		}
		q.nextDay()
	}
	return q.today.pop(), true
}

// nextDay moves to the next bucket, or over an empty stretch at once.
func (q *eventQueue) nextDay() {
	q.day++
	if q.inDays == 0 {
		q.day = max(q.day, int64(q.far[0].at>>dayBits))
	}
	for len(q.far) > 0 && int64(q.far[0].at>>dayBits) < q.day+calendar {
		e := q.far.pop()
		if day := int64(e.at >> dayBits); day > q.day {
			q.put(day, e)
		} else {
			q.today.push(e)
		}
	}
	b := &q.days[q.day%calendar]
	if len(*b) == 0 {
		return
	}
	q.inDays -= len(*b)
	if len(q.today) == 0 {
		if cap(q.today) > 0 {
			q.free = append(q.free, q.today)
		}
		q.today, *b = *b, nil
		q.today.order()
		return
	}
	for _, e := range *b {
		q.today.push(e)
	}
	q.free = append(q.free, (*b)[:0])
	*b = nil
}

// eventHeap is a 4-ary heap by time, then by order of insertion.
type eventHeap []event

func (h *eventHeap) push(e event) {
	*h = append(*h, e)
	s := *h
	i := len(s) - 1
	for i > 0 {
		p := (i - 1) / 4
		if !earlier(&e, &s[p]) {
			break
		}
		s[i] = s[p]
		i = p
	}
	s[i] = e
}

func (h *eventHeap) pop() event {
	s := *h
	top := s[0]
	n := len(s) - 1
	last := s[n]
	*h = s[:n]
	if n > 0 {
		s[:n].sink(0, last)
	}
	return top
}

// order makes a heap of events in any order.
func (h eventHeap) order() {
	for i := (len(h) - 2) / 4; i >= 0 && len(h) > 1; i-- {
		h.sink(i, h[i])
	}
}

// sink puts e at place i or below it.
func (h eventHeap) sink(i int, e event) {
	n := len(h)
	for {
		c := 4*i + 1
		if c >= n {
			break
		}
		best := c
		for j := c + 1; j < min(c+4, n); j++ {
			if earlier(&h[j], &h[best]) {
				best = j
			}
		}
		if !earlier(&h[best], &e) {
			break
		}
		h[i] = h[best]
		i = best
	}
	h[i] = e
}

func earlier(a, b *event) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.seq < b.seq
}
