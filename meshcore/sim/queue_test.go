package sim

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestQueueKeepsOrder pushes at random, also from turns, and holds queue and shard to
// their promise: all events come once, in the window of their time, each viewer's in
// the order of time and insertion.
func TestQueueKeepsOrder(t *testing.T) {
	for _, lookahead := range []time.Duration{time.Microsecond, time.Millisecond, 20 * time.Millisecond, time.Hour} {
		r := rand.New(rand.NewPCG(1, uint64(lookahead)))
		w := &world{q: newEventQueue(lookahead), shards: make([]shard, 1), end: never - 1}
		l := &w.shards[0]
		l.world = w
		width := time.Duration(1) << w.q.bits
		var pushed []event
		event := func(at time.Duration, to int32) event {
			pushed = append(pushed, event{at: at, to: to, ref: int32(len(pushed))})
			return pushed[len(pushed)-1]
		}
		for range 2000 {
			e := event(time.Duration(r.Int64N(int64(30*time.Second))), int32(r.IntN(50))-1)
			w.q.push(&e)
		}
		last, seen := map[int32]int32{}, map[int32]bool{}
		for today := w.q.next(); len(today) > 0; today = w.q.next() {
			l.run(today, func(e *eventType) {
				p := pushed[e.ref]
				if seen[e.ref] || p.to != e.to || e.at != p.at {
					t.Fatalf("lookahead %v: %+v came of %+v", lookahead, e, p)
				}
				seen[e.ref] = true
				if e.at < w.q.reached() || e.at >= w.q.until() || w.q.until() != w.q.reached()+width {
					t.Fatalf("lookahead %v: an event of %v in the window from %v to %v", lookahead, e.at, w.q.reached(), w.q.until())
				}
				if l, ok := last[e.to]; ok && (pushed[l].at > p.at || pushed[l].at == p.at && l > e.ref) {
					t.Fatalf("lookahead %v: for viewer %d %+v came after %+v", lookahead, e.to, p, pushed[l])
				}
				last[e.to] = e.ref
				if len(pushed) < 20000 {
					l.push(event(e.at+time.Duration(r.IntN(4))*width/2, e.to))                                        // to itself, soon or at once
					l.push(event(e.at+width+time.Duration(r.ExpFloat64()*float64(time.Second)), int32(r.IntN(50))-1)) // to another, not before the lookahead
				}
			})
			w.settle()
		}
		if len(seen) != len(pushed) {
			t.Fatalf("lookahead %v: %d events came of %d", lookahead, len(seen), len(pushed))
		}
	}
}

// eventType is event where a function has that name.
type eventType = event

// TestQueueDelaysWhatComesTooSoon: what a viewer does to another within the
// window takes effect in the next one, never in the past.
func TestQueueDelaysWhatComesTooSoon(t *testing.T) {
	w := &world{q: newEventQueue(20 * time.Millisecond), shards: make([]shard, 1), end: time.Hour}
	l := &w.shards[0]
	l.world = w
	w.q.push(&event{at: time.Millisecond, to: 5})
	w.q.push(&event{at: 2 * time.Millisecond, to: 7})
	var got []event
	for today := w.q.next(); len(today) > 0; today = w.q.next() {
		l.run(today, func(e *event) {
			if len(got) == 0 {
				l.push(event{at: 3 * time.Millisecond, to: 7})
				l.push(event{at: 3 * time.Millisecond, to: 5})
			}
			got = append(got, *e)
		})
		w.settle()
	}
	want := []event{{at: time.Millisecond, to: 5}, {at: 3 * time.Millisecond, to: 5}, {at: 2 * time.Millisecond, to: 7}, {at: 1 << w.q.bits, to: 7}}
	if !slices.Equal(got, want) {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestHeapSorts(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	var h eventHeap
	var want []event
	for i := range int32(1000) {
		e := event{at: time.Duration(r.IntN(100)), ref: i}
		h.push(e)
		want = append(want, e)
	}
	slices.SortStableFunc(want, func(a, b event) int { return cmp.Compare(a.at, b.at) })
	for i, e := range want {
		if h.next() != e.at {
			t.Fatalf("place %d: next at %v, want %v", i, h.next(), e.at)
		}
		if got := h.pop(); got != e {
			t.Fatalf("place %d: %+v, want %+v", i, got, e)
		}
	}
	if h.next() != never {
		t.Errorf("an empty heap has something at %v", h.next())
	}
}

func BenchmarkQueue(b *testing.B) {
	for _, bench := range []struct {
		name string
		n    int
	}{{"1k events", 1000}, {"1M events", 1_000_000}} {
		b.Run(bench.name, func(b *testing.B) {
			r := rand.New(rand.NewPCG(1, 1))
			q := newEventQueue(20 * time.Millisecond)
			for range bench.n {
				q.push(&event{at: time.Duration(r.Int64N(int64(time.Second))), to: int32(r.IntN(1000))})
			}
			for n := 0; n < b.N; { // an iteration is an event
				for _, e := range q.next() {
					e.at += 20*time.Millisecond + time.Duration(r.Int64N(int64(time.Second)))
					q.push(&e)
					n++
				}
			}
		})
	}
}
