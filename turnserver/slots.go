package turnserver

import (
	"net/netip"
	"slices"
	"sync"
)

// Bounds on the connections of one listener that have yet to say what they are.
const (
	MaxSlots          = 1024
	MaxSlotsPerSource = MaxSlots / 4
)

// Slots bound the connections that have yet to say what they are: MaxSlots in all and
// MaxSlotsPerSource of one address, or IPv6 /64. Where all slots are taken, the source
// with the most loses its oldest to a source with less. The zero value is ready. It is
// safe for concurrent use.
type Slots struct {
	mu    sync.Mutex
	taken int
	by    map[netip.Addr][]*Slot // the oldest first
}

// Slot is the place of one connection.
type Slot struct {
	of     *Slots
	source netip.Addr
	lose   func()
}

// Take returns a slot for a connection from source, or nil where that may have no more.
// lose is called when another source is given the slot; it must not wait.
func (s *Slots) Take(source netip.Addr, lose func()) *Slot {
	sl := &Slot{of: s, lose: lose}
	if !s.add(sl, sourceKey(source)) {
		return nil
	}
	return sl
}

// Move counts the slot for another source, and reports false where that may have no
// more: then the slot is given back.
func (sl *Slot) Move(to netip.Addr) bool {
	sl.Give()
	return sl.of.add(sl, sourceKey(to))
}

// Give gives the slot back, where it was not lost.
func (sl *Slot) Give() {
	sl.of.mu.Lock()
	defer sl.of.mu.Unlock()
	sl.of.drop(sl)
}

func (s *Slots) add(sl *Slot, source netip.Addr) bool {
	s.mu.Lock()
	if s.by == nil {
		s.by = map[netip.Addr][]*Slot{}
	}
	n := len(s.by[source])
	var victim *Slot
	if s.taken >= MaxSlots {
		victim = s.oldestOfMost(n)
	}
	if n >= MaxSlotsPerSource || s.taken >= MaxSlots && victim == nil {
		s.mu.Unlock()
		return false
	}
	if victim != nil {
		s.drop(victim)
	}
	sl.source = source
	s.taken++
	s.by[source] = append(s.by[source], sl)
	s.mu.Unlock()
	if victim != nil {
		victim.lose()
	}
	return true
}

// oldestOfMost returns the oldest slot of the source that has the most, if that is more
// than one over n.
func (s *Slots) oldestOfMost(n int) *Slot {
	var most []*Slot
	for _, list := range s.by {
		if len(list) > len(most) {
			most = list
		}
	}
	if len(most) <= n+1 {
		return nil
	}
	return most[0]
}

func (s *Slots) drop(sl *Slot) {
	list := s.by[sl.source]
	i := slices.Index(list, sl)
	if i < 0 {
		return
	}
	s.taken--
	if list = slices.Delete(list, i, i+1); len(list) == 0 {
		delete(s.by, sl.source)
	} else {
		s.by[sl.source] = list
	}
}
