package uplink_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/viewmesh/viewmesh/edge/uplink"
)

const (
	capacity = 1 << 20 // bytes a second
	segment  = 1 << 20 // bytes
)

// send sends a body of size bytes, and returns how long it took.
func send(t *testing.T, u *uplink.Uplink, size int64, stranger bool) time.Duration {
	begun := time.Now()
	b := u.Begin(capacity, size, stranger)
	defer b.End()
	for size > 0 {
		n, err := b.Take(t.Context(), size, nil)
		if err != nil {
			t.Error(err)
			return 0
		}
		size -= n
	}
	return time.Since(begun)
}

// about reports whether a time is within a tenth of what it should be.
func about(got, want time.Duration) bool { return (got - want).Abs() <= want/10 }

// TestOneAfterAnother: segments leave one after another, at nine tenths of the capacity,
// and what is short does not wait for them.
func TestOneAfterAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u uplink.Uplink
		var work sync.WaitGroup
		for i := range 3 {
			time.Sleep(time.Millisecond)
			work.Go(func() {
				if took, want := send(t, &u, segment, false), time.Duration(i+1)*time.Second*10/9; !about(took, want) {
					t.Errorf("segment %d took %v, want %v", i, took, want)
				}
			})
		}
		time.Sleep(100 * time.Millisecond)
		if took := send(t, &u, 1000, false); took > 50*time.Millisecond {
			t.Errorf("an init section took %v", took)
		}
		work.Wait()
	})
}

// TestStrangersGoLast: a segment of a viewer without a session waits for those of all who
// have one, but never without a sign of life.
func TestStrangersGoLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u uplink.Uplink
		var work sync.WaitGroup
		work.Go(func() { send(t, &u, 4*segment, false) })
		synctest.Wait()
		b := u.Begin(capacity, segment, true)
		begun := time.Now()
		var waited bool
		n, err := b.Take(t.Context(), segment, func() { waited = true })
		if took := time.Since(begun); err != nil || !waited || n <= 0 || n > 4096 || took > 3*time.Second {
			t.Errorf("after %v it may send %d bytes (waited: %t): %v", took, n, waited, err)
		}
		b.End()
		if took := send(t, &u, segment, false); took > 5*time.Second {
			t.Errorf("the next segment of a session took %v", took)
		}
		work.Wait()
	})
}

// TestGivenUp: a viewer who gives up leaves its place to others.
func TestGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u uplink.Uplink
		var work sync.WaitGroup
		work.Go(func() { send(t, &u, segment, false) })
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		work.Go(func() {
			b := u.Begin(capacity, 100*segment, false)
			defer b.End()
			if _, err := b.Take(ctx, 100*segment, nil); !errors.Is(err, context.Canceled) {
				t.Errorf("a body that was given up: %v", err)
			}
		})
		synctest.Wait()
		cancel()
		synctest.Wait()
		if took := send(t, &u, segment, false); !about(took, 2*time.Second*10/9) {
			t.Errorf("the next segment took %v", took)
		}
		work.Wait()
	})
}

// TestWait: a crowd is seen as it comes, before it has asked for anything; it is over 10 s
// after the last segment that had to wait.
func TestWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u uplink.Uplink
		u.Join(capacity)
		send(t, &u, segment, false)
		time.Sleep(time.Minute)
		if w := u.Wait(); w != 0 {
			t.Fatalf("one viewer waits for %v", w)
		}
		for range 10 {
			u.Join(capacity)
		}
		if w := u.Wait(); !about(w, 10*time.Second*10/9) {
			t.Errorf("of ten viewers who come at once, a segment waits for %v", w)
		}
		if _, since := u.Overloaded(); !since.IsZero() {
			t.Error("nobody has asked yet, and the server is overloaded")
		}
		time.Sleep(9 * time.Second)
		if u.Wait() == 0 {
			t.Error("the origin is not scarce any more after 9 s")
		}
		time.Sleep(12 * time.Second)
		if w := u.Wait(); w != 0 {
			t.Errorf("after all is over, a segment waits for %v", w)
		}
	})
}

// TestOverloaded: segments that wait for more than 4 s are too much, once they do for 2 s.
func TestOverloaded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u uplink.Uplink
		var work sync.WaitGroup
		for range 10 {
			work.Go(func() { send(t, &u, segment, false) })
		}
		time.Sleep(time.Second)
		if _, since := u.Overloaded(); !since.IsZero() {
			t.Error("the server is overloaded after a second")
		}
		time.Sleep(2 * time.Second)
		if wait, since := u.Overloaded(); since.IsZero() || wait < 4*time.Second {
			t.Errorf("a segment waits for %v: overloaded since %v", wait, since)
		}
		work.Wait()
		if _, since := u.Overloaded(); !since.IsZero() {
			t.Error("the server is overloaded with nothing to send")
		}
	})
}

// TestRelay: what a relay sends takes its part of the capacity.
func TestRelay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var u uplink.Uplink
		done := make(chan struct{})
		go func() {
			defer close(done)
			if took := send(t, &u, segment, false); !about(took, 1500*time.Millisecond) {
				t.Errorf("beside a relay a segment took %v", took)
			}
		}()
		for range 10 {
			time.Sleep(100 * time.Millisecond)
			u.Spend(segment / 29)
		}
		<-done
	})
}
