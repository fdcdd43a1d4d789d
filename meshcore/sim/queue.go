package sim

import (
	"math/bits"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// event is one thing that happens at a time. What from, to, ref, seg and chunk
// mean follows from kind.
type event struct {
	at       time.Duration
	seg      wire.SegmentID
	from, to int32
	ref      int32
	kind     eventKind
	chunk    uint8
}

type eventKind uint8

// edge takes the place of a viewer's number for what happens at the edge or to all.
const edge int32 = -1

const (
	evWake      eventKind = iota // to: the client asked to be called
	evMessage                    // from, to: a control message arrives (ref: messages)
	evDownlink                   // from, to: a chunk reaches the downlink
	evChunk                      // from, to: a chunk has come through it
	evSent                       // to: a chunk has left its uplink (from: receiver, ref: bytes)
	evHeaders                    // to: the origin's answer begins (ref: its fetches)
	evOrigin                     // to: a chunk came from the origin (ref: its fetches)
	evToTracker                  // from: a signal message reaches the edge (ref: signals)
	evToPeer                     // to: a signal message reaches a peer (ref: signals)
	evOffer                      // from, to: an offer arrives
	evUp                         // from, to: a connection is open (both sides)
	evDown                       // from, to: "to" learns that the connection to "from" is gone
	evArrive                     // to: a viewer comes
	evEnter                      // from: the edge opens its session
	evJoined                     // to: it learns that its session is open
	evLost                       // from: the edge notices that it is gone
	evManifest                   // to: its media playlist is new
	evPlayer                     // to: the playhead reaches the end of a segment (ref: player's version)
	evLeave                      // to: a viewer goes
	evSwitch                     // to: it changes the rendition
	evExodus                     // many leave at once
	evTracker                    // the tracker asked to be called
	evPaths                      // paths die at once
)

// eventQueue gives events window by window: all of a short stretch of time, by
// viewer (the edge first), of each viewer in the order of their time, and those of
// one time in the order they were put in. It is a calendar queue (Brown, 1988): the
// windows of the next seconds are buckets, sorted when their time comes; what lies
// further ahead is in a heap.
type eventQueue struct {
	bits   int     // a window is 1 << bits ns
	day    int64   // number of the window at hand, -1 before the first
	today  []event // its events
	days   [calendar]bucket
	inDays int
	far    eventHeap
	free   *block  // storage of past buckets
	count  []int32 // scratch of byTurn
}

const calendar = 1 << 10

// bucket is the events of one window, in blocks, so that a window ahead that has
// few takes little memory.
type bucket struct {
	first, last *block
	n           int
}

type block struct {
	events [60]event
	n      int
	next   *block
}

// newEventQueue makes a queue for viewers that act on each other after lookahead
// at the earliest: no window is longer.
func newEventQueue(lookahead time.Duration) eventQueue {
	return eventQueue{bits: min(max(bits.Len64(uint64(lookahead))-1, 10), 24), day: -1}
}

// push puts an event in, for a window to come.
func (q *eventQueue) push(e *event) {
	day := int64(e.at >> q.bits)
	if day <= q.day {
		day = q.day + 1
		e.at = time.Duration(day << q.bits)
	}
	if day < q.day+calendar {
		q.put(day, e)
	} else {
		q.far.push(*e)
	}
}

func (q *eventQueue) put(day int64, e *event) {
	b := &q.days[day%calendar]
	if b.last == nil || b.last.n == len(b.last.events) {
		k := q.free
		if k == nil {
			k = new(block)
		}
		q.free, k.n, k.next = k.next, 0, nil
		if b.last == nil {
			b.first = k
		} else {
			b.last.next = k
		}
		b.last = k
	}
	b.last.events[b.last.n] = *e
	b.last.n++
	b.n++
	q.inDays++
}

// next moves to the next window that has events and gives them; none if there are
// no more. They are valid until the next call.
func (q *eventQueue) next() []event {
	for q.inDays > 0 || q.far.len() > 0 {
		q.day++
		if q.inDays == 0 {
			q.day = max(q.day, int64(q.far.next()>>q.bits))
		}
		for q.far.len() > 0 && int64(q.far.next()>>q.bits) < q.day+calendar {
			e := q.far.pop()
			q.put(int64(e.at>>q.bits), &e)
		}
		b := &q.days[q.day%calendar]
		if b.n == 0 {
			continue
		}
		q.today = q.byTurn(q.today[:0], b)
		q.inDays -= b.n
		b.last.next = q.free
		q.free = b.first
		*b = bucket{}
		return q.today
	}
	return nil
}

// reached is the time that no event to come is before; until is the end of the
// window at hand.
func (q *eventQueue) reached() time.Duration { return time.Duration(max(q.day, 0) << q.bits) }
func (q *eventQueue) until() time.Duration   { return time.Duration((q.day + 1) << q.bits) }

// byTurn sorts the events of a bucket by viewer, time and order of insertion: a
// counting sort by viewer, then an insertion sort of the few events of each.
func (q *eventQueue) byTurn(into []event, b *bucket) []event {
	last := edge
	for k := b.first; k != nil; k = k.next {
		for i := range k.events[:k.n] {
			last = max(last, k.events[i].to)
		}
	}
	if n := int(last) + 3; cap(q.count) < n {
		q.count = make([]int32, n, n*2)
	} else {
		q.count = q.count[:n]
		clear(q.count)
	}
	count := q.count // at t+2: the number of events of viewer t; then at t+1: where the next of them goes
	for k := b.first; k != nil; k = k.next {
		for i := range k.events[:k.n] {
			count[k.events[i].to+2]++
		}
	}
	for i := 1; i < len(count); i++ {
		count[i] += count[i-1]
	}
	into = slices.Grow(into, b.n)[:b.n]
	for k := b.first; k != nil; k = k.next {
		for i := range k.events[:k.n] {
			e := &k.events[i]
			at := &count[e.to+1]
			into[*at] = *e
			*at++
		}
	}
	for i := 1; i < len(into); i++ {
		for j := i; j > 0 && into[j].to == into[j-1].to && into[j].at < into[j-1].at; j-- {
			into[j], into[j-1] = into[j-1], into[j]
		}
	}
	return into
}

// eventHeap is a 4-ary heap by time, then by order of insertion.
type eventHeap struct {
	all []inserted
	seq uint64
}

type inserted struct {
	event
	seq uint64
}

func (h *eventHeap) len() int { return len(h.all) }

// next is the time of the first event, never if there is none.
func (h *eventHeap) next() time.Duration {
	if len(h.all) == 0 {
		return never
	}
	return h.all[0].at
}

func (h *eventHeap) push(e event) {
	h.seq++
	n := inserted{e, h.seq}
	h.all = append(h.all, n)
	s := h.all
	i := len(s) - 1
	for i > 0 {
		p := (i - 1) / 4
		if !earlier(&n, &s[p]) {
			break
		}
		s[i] = s[p]
		i = p
	}
	s[i] = n
}

func (h *eventHeap) pop() event {
	s := h.all
	top := s[0].event
	n := len(s) - 1
	last := s[n]
	h.all = s[:n]
	if n > 0 {
		sink(s[:n], last)
	}
	return top
}

// sink puts n at the top of a heap or below it.
func sink(s []inserted, n inserted) {
	i := 0
	for {
		c := 4*i + 1
		if c >= len(s) {
			break
		}
		best := c
		for j := c + 1; j < min(c+4, len(s)); j++ {
			if earlier(&s[j], &s[best]) {
				best = j
			}
		}
		if !earlier(&s[best], &n) {
			break
		}
		s[i] = s[best]
		i = best
	}
	s[i] = n
}

func earlier(a, b *inserted) bool {
	if a.at != b.at {
		return a.at < b.at
	}
	return a.seq < b.seq
}
