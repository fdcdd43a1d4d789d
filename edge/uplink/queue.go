package uplink

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"
)

const (
	sliceTime = 20 * time.Millisecond  // of the capacity that one grant takes,
	minSlice  = 16 << 10               // in bytes at least
	maxSlice  = 1 << 20                // and at most
	credit    = 50 * time.Millisecond  // of the capacity that a queue which was idle may catch up
	patience  = 2 * time.Second        // that a body waits for its turn, after which it gets
	crumb     = 1 << 10                // so many bytes, because clients give up an answer that stands still
	shortest  = 32 << 10               // bytes of a body that need not wait for those that have more
	again     = 4 << 20                // bytes of a body, after which it takes a new turn
	maxBehind = 500 * time.Millisecond // that bytes outside the queue hold it up
)

// queue grants bodies their bytes: the one that began first gets all that it can take, so
// that bodies are complete one after another. Half of many is worth nothing to anybody.
type queue struct {
	rate    float64   // bytes a second of the last grant
	free    time.Time // when all that was granted has left
	turns   uint64
	waiting []*waiter // by turn
}

// turn is the place of a body: by its class, then by when it began.
type turn struct {
	class  class
	number uint64
}

// class is what a body is, of which the lower ones go first.
type class uint8

const (
	short class = iota // an init section, or a stripe that its viewer passes on
	whole
	last // of somebody without a session, while sessions are refused
)

func compare(a, b turn) int {
	return cmp.Or(cmp.Compare(a.class, b.class), cmp.Compare(a.number, b.number))
}

// waiter is a body that waits for bytes.
type waiter struct {
	turn
	woken chan struct{}
}

// next returns a turn after all others of its class.
func (q *queue) next(c class) turn {
	q.turns++
	return turn{c, q.turns}
}

// grant takes n bytes out of the capacity.
func (q *queue) grant(n int64, now time.Time) {
	if least := now.Add(-credit); q.free.Before(least) {
		q.free = least
	}
	q.free = q.free.Add(time.Duration(float64(n) / q.rate * float64(time.Second)))
}

// spend takes bytes out of the capacity that go out in another way.
func (q *queue) spend(n int64, now time.Time) {
	if q.rate > 0 && q.free.Sub(now) < maxBehind {
		q.grant(n, now)
	}
}

// enter puts a waiter in its place.
func (q *queue) enter(w *waiter) {
	i, _ := slices.BinarySearchFunc(q.waiting, w.turn, func(o *waiter, t turn) int { return compare(o.turn, t) })
	q.waiting = slices.Insert(q.waiting, i, w)
}

// leave takes a waiter out, and wakes the one that is first then.
func (q *queue) leave(w *waiter) {
	if i := slices.Index(q.waiting, w); i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	if len(q.waiting) > 0 {
		select {
		case q.waiting[0].woken <- struct{}{}:
		default:
		}
	}
}

// take waits until t may have up to want bytes, and returns how many. mu is held, but
// while it waits; stand is called the first time it does.
func (q *queue) take(ctx context.Context, mu *sync.Mutex, t turn, want int64, stand func()) (int64, error) {
	now := time.Now()
	n := min(want, min(max(int64(q.rate*sliceTime.Seconds()), minSlice), maxSlice))
	if len(q.waiting) == 0 && !now.Before(q.free) {
		q.grant(n, now)
		return n, nil
	}
	w := &waiter{turn: t, woken: make(chan struct{}, 1)}
	q.enter(w)
	defer q.leave(w)
	for until := now.Add(patience); ; now = time.Now() {
		wait := until.Sub(now)
		if q.waiting[0] == w {
			if !now.Before(q.free) {
				q.grant(n, now)
				return n, nil
			}
			wait = min(wait, q.free.Sub(now))
		}
		if wait <= 0 {
			n = min(n, crumb)
			q.grant(n, now)
			return n, nil
		}
		mu.Unlock()
		if stand != nil {
			stand()
			stand = nil
		}
		timer := time.NewTimer(wait)
		var err error
		select {
		case <-ctx.Done():
			err = context.Cause(ctx)
		case <-w.woken:
		case <-timer.C:
		}
		timer.Stop()
		mu.Lock()
		if err != nil {
			return 0, err
		}
	}
}
