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
	seq      uint64 // order among events of one time
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
	evHeaders                    // to: the origin's answer begins (ref: fetches)
	evOrigin                     // to: a chunk came from the origin (ref: fetches)
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
)

// eventQueue gives events turn by turn: a turn is all events of one viewer (or of
// the edge) within a short window of time, in the order of their time, and those
// of one time in the order they were put in. Viewers act on each other only after
// the least latency; a window that is no longer can be gone through viewer by
// viewer, and a viewer's engine stays in the processor's cache for its turn
// (conservative lookahead; Chandy and Misra, 1979).
//
// It is a calendar queue (Brown, 1988): the windows of the next seconds are
// buckets, sorted when their time comes; what lies further ahead is in a heap.
type eventQueue struct {
	bits   int       // a window is 1 << bits ns
	day    int64     // number of the window at hand, -1 before the first
	turn   int32     // whose turn it is
	today  []event   // the window at hand by turn, the first next of them done
	next   int       //
	own    eventHeap // what the viewer whose turn it is gave itself for this window
	days   [calendar][]event
	inDays int
	far    eventHeap
	free   [][]event // storage of past buckets
	count  []int32   // scratch of byTurn
	seq    uint64
}

const calendar = 1 << 10

// newEventQueue makes a queue for viewers that act on each other after lookahead
// at the earliest.
func newEventQueue(lookahead time.Duration) eventQueue {
	return eventQueue{bits: min(max(bits.Len64(uint64(lookahead))-1, 10), 24), day: -1}
}

// push puts an event in. What a viewer does to another takes effect in a later
// window.
func (q *eventQueue) push(e event) {
	q.seq++
	e.seq = q.seq
	day := int64(e.at >> q.bits)
	if day <= q.day {
		if e.to == q.turn {
			q.own.push(e)
			return
		}
		day = q.day + 1
		e.at = time.Duration(day << q.bits)
	}
	if day < q.day+calendar {
		q.put(day, e)
	} else {
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
	for {
		listed := q.next < len(q.today) && q.today[q.next].to == q.turn
		switch {
		case listed && (len(q.own) == 0 || earlier(&q.today[q.next], &q.own[0])):
			q.next++
			return q.today[q.next-1], true
		case len(q.own) > 0:
			return q.own.pop(), true
		case q.next < len(q.today):
			q.turn = q.today[q.next].to
		case q.inDays == 0 && len(q.far) == 0:
			return event{}, false
		default:
			q.nextDay()
		}
	}
}

// reached is the time that no event to come is before.
func (q *eventQueue) reached() time.Duration { return time.Duration(max(q.day, 0) << q.bits) }

// nextDay moves to the next window, or over an empty stretch at once.
func (q *eventQueue) nextDay() {
	q.day++
	if q.inDays == 0 {
		q.day = max(q.day, int64(q.far[0].at>>q.bits))
	}
	for len(q.far) > 0 && int64(q.far[0].at>>q.bits) < q.day+calendar {
		e := q.far.pop()
		q.put(int64(e.at>>q.bits), e)
	}
	b := &q.days[q.day%calendar]
	q.inDays -= len(*b)
	q.today, q.next = q.byTurn(q.today[:0], *b), 0
	if *b != nil {
		q.free = append(q.free, (*b)[:0])
		*b = nil
	}
}

// byTurn sorts events by turn, time and order of insertion into another slice: a
// counting sort by turn, then an insertion sort of the few events of each.
func (q *eventQueue) byTurn(into, events []event) []event {
	if len(events) == 0 {
		return into
	}
	last := edge
	for i := range events {
		last = max(last, events[i].to)
	}
	if n := int(last) + 3; cap(q.count) < n {
		q.count = make([]int32, n*2)
	} else {
		q.count = q.count[:n]
		clear(q.count)
	}
	count := q.count // at t+2: the number of events of turn t; then at t+1: where the next of them goes
	for i := range events {
		count[events[i].to+2]++
	}
	for i := 1; i < len(count); i++ {
		count[i] += count[i-1]
	}
	into = slices.Grow(into, len(events))[:len(events)]
	for i := range events {
		at := &count[events[i].to+1]
		into[*at] = events[i]
		*at++
	}
	for i := 1; i < len(into); i++ {
		for j := i; j > 0 && into[j].to == into[j-1].to && earlier(&into[j], &into[j-1]); j-- {
			into[j], into[j-1] = into[j-1], into[j]
		}
	}
	return into
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
