package turnserver

import (
	"net/netip"
	"testing"
)

// TestSlotsAreFair: a source has a bound, and where many sources have taken all there
// is, one of them makes room for the next.
func TestSlotsAreFair(t *testing.T) {
	var s Slots
	source := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}) }
	var all []*Slot
	lost := 0
	fill := func(i, most int) (n int) {
		for n < most {
			sl := s.Take(source(i), func() { lost++ })
			if sl == nil {
				break
			}
			all = append(all, sl)
			n++
		}
		return n
	}
	if n := fill(0, 2000); n != MaxSlotsPerSource {
		t.Errorf("one source takes %d slots, want %d", n, MaxSlotsPerSource)
	}
	for i := 1; i < 200; i++ {
		if fill(i, 10) < 4 {
			t.Fatalf("source %d, which asks for ten slots, gets less than four", i)
		}
	}
	if s.taken != MaxSlots {
		t.Errorf("%d slots are taken, want %d", s.taken, MaxSlots)
	}
	late := s.Take(source(1000), func() { t.Error("the source with the least loses a slot") })
	if late == nil {
		t.Fatal("nothing is left for a client behind 200 greedy sources")
	}
	if s.taken+lost != len(all)+1 {
		t.Errorf("%d slots taken and %d lost of %d", s.taken, lost, len(all)+1)
	}
	if !late.Move(source(1001)) || len(s.by[source(1001)]) != 1 || len(s.by[source(1000)]) != 0 {
		t.Error("a slot does not move to the client behind a proxy")
	}
	for _, sl := range append(all, late) {
		sl.Give()
	}
	if s.taken != 0 || len(s.by) != 0 {
		t.Errorf("%d slots are still taken", s.taken)
	}
	for i := range 2000 { // one /64 is one source
		if sl := s.Take(netip.AddrFrom16([16]byte{0x26, 15: byte(i), 14: byte(i >> 8)}), func() {}); (sl != nil) != (i < MaxSlotsPerSource) {
			t.Fatalf("slot %d of one /64: %v", i, sl != nil)
		}
	}
}
