package turn

import (
	"net"
	"net/netip"
	"testing"
	"time"
)

// deadlined is a connection that notes when it is told to stop waiting.
type deadlined struct {
	net.Conn
	stopped bool
}

func (d *deadlined) SetReadDeadline(t time.Time) error {
	d.stopped = !t.After(time.Now())
	return nil
}

// TestSlotsAreFair: a source has a bound, and where many sources have taken all there
// is, one of them makes room for the next.
func TestSlotsAreFair(t *testing.T) {
	var s slots
	source := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	var all []*slot
	fill := func(i, most int) (n int) {
		for n < most {
			sl := s.take(&deadlined{}, source(i))
			if sl == nil {
				break
			}
			all = append(all, sl)
			n++
		}
		return n
	}
	if n := fill(0, 2000); n != maxSortingPerSource {
		t.Errorf("one source takes %d slots, want %d", n, maxSortingPerSource)
	}
	for i := 1; i < 200; i++ {
		if fill(i, 10) < 4 {
			t.Fatalf("source %d, which asks for ten slots, gets less than four", i)
		}
	}
	if s.taken != maxSorting {
		t.Errorf("%d slots are taken, want %d", s.taken, maxSorting)
	}
	late := s.take(&deadlined{}, source(1000))
	if late == nil {
		t.Fatal("nothing is left for a client behind 200 greedy sources")
	}
	evicted := 0
	for _, sl := range all {
		if sl.evicted != sl.conn.(*deadlined).stopped {
			t.Fatal("a connection waits on though its slot was taken away, or the other way round")
		}
		if sl.evicted {
			evicted++
			sl.deadline(time.Now().Add(time.Hour))
			if !sl.conn.(*deadlined).stopped {
				t.Fatal("a connection whose slot was taken away waits again")
			}
		}
	}
	if s.taken+evicted != len(all)+1 {
		t.Errorf("%d slots taken and %d taken away of %d", s.taken, evicted, len(all)+1)
	}
	if !s.move(late, source(1001)) || len(s.by[source(1001)]) != 1 || len(s.by[source(1000)]) != 0 {
		t.Error("a slot does not move to the client behind a proxy")
	}
	for _, sl := range append(all, late) {
		s.give(sl)
	}
	if s.taken != 0 || len(s.by) != 0 {
		t.Errorf("%d slots are still taken", s.taken)
	}
}
