package sim

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestQueueKeepsOrder pushes at random, also while it pops, and holds the queue
// to its promise: all events come out once, each viewer's in the order of time and
// insertion, and no event before one that its cause could have reached.
func TestQueueKeepsOrder(t *testing.T) {
	for _, lookahead := range []time.Duration{time.Microsecond, time.Millisecond, 20 * time.Millisecond, time.Hour} {
		r := rand.New(rand.NewPCG(1, uint64(lookahead)))
		q := newEventQueue(lookahead)
		width := time.Duration(1) << q.bits
		pushed := map[uint64]event{}
		push := func(at time.Duration, to int32) {
			e := event{at: at, to: to, ref: int32(len(pushed))}
			q.push(e)
			e.seq = q.seq
			pushed[q.seq] = e
		}
		for range 2000 {
			push(time.Duration(r.Int64N(int64(30*time.Second))), int32(r.IntN(50))-1)
		}
		last := map[int32]event{}
		reached := time.Duration(0)
		for n := 0; ; n++ {
			e, ok := q.pop()
			if !ok {
				if n != len(pushed) {
					t.Fatalf("lookahead %v: %d events came out of %d", lookahead, n, len(pushed))
				}
				break
			}
			if p := pushed[e.seq]; p.ref != e.ref || p.to != e.to || e.at < p.at || e.at > p.at+width {
				t.Fatalf("lookahead %v: %+v came out of %+v", lookahead, e, p)
			}
			if q.reached() < reached || e.at < q.reached() || e.at >= q.reached()+width {
				t.Fatalf("lookahead %v: an event of %v in the window from %v", lookahead, e.at, q.reached())
			}
			reached = q.reached()
			if l, ok := last[e.to]; ok && !earlier(&l, &e) {
				t.Fatalf("lookahead %v: for viewer %d %v came after %v", lookahead, e.to, e.at, l.at)
			}
			last[e.to] = e
			if len(pushed) < 20000 {
				push(e.at+time.Duration(r.Int64N(int64(3*width))), e.to)                                 // to itself, soon
				push(e.at+width+time.Duration(r.ExpFloat64()*float64(time.Second)), int32(r.IntN(50))-1) // to another, not before the lookahead
			}
		}
	}
}

// TestQueueDelaysWhatComesTooSoon: what a viewer does to another within the
// window takes effect in the next one, never in the past.
func TestQueueDelaysWhatComesTooSoon(t *testing.T) {
	q := newEventQueue(20 * time.Millisecond)
	q.push(event{at: time.Millisecond, to: 5})
	q.push(event{at: 2 * time.Millisecond, to: 7})
	if e, _ := q.pop(); e.to != 5 {
		t.Fatalf("turn of %d, want 5", e.to)
	}
	q.push(event{at: 3 * time.Millisecond, to: 7})
	q.push(event{at: 3 * time.Millisecond, to: 5})
	var got []event
	for e, ok := q.pop(); ok; e, ok = q.pop() {
		got = append(got, e)
	}
	if len(got) != 3 || got[0].to != 5 || got[1].to != 7 || got[2].to != 7 || got[2].at != time.Duration(1)<<q.bits {
		t.Errorf("%+v", got)
	}
}

func TestHeapSorts(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 2))
	var h eventHeap
	var want []time.Duration
	for i := range 1000 {
		e := event{at: time.Duration(r.IntN(100)), seq: uint64(i)}
		h.push(e)
		want = append(want, e.at)
	}
	slices.SortFunc(want, cmp.Compare)
	seq := uint64(0)
	for i, at := range want {
		e := h.pop()
		if e.at != at || (i > 0 && want[i-1] == at && e.seq < seq) {
			t.Fatalf("place %d: %v of insertion %d, want %v", i, e.at, e.seq, at)
		}
		seq = e.seq
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
				q.push(event{at: time.Duration(r.Int64N(int64(time.Second))), to: int32(r.IntN(1000))})
			}
			for b.Loop() {
				e, _ := q.pop()
				e.at += 20*time.Millisecond + time.Duration(r.Int64N(int64(time.Second)))
				q.push(e)
			}
		})
	}
}
