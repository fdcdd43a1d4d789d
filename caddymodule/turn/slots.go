package turn

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// slots bound the connections that are looked at, in all and by source.
type slots struct {
	mu    sync.Mutex
	taken int
	by    map[netip.Addr][]*slot // the oldest first
}

// slot is the place of one connection.
type slot struct {
	conn   net.Conn
	source netip.Addr

	mu      sync.Mutex
	evicted bool
}

// take returns a slot for a connection, or nil where its source may have no more.
func (s *slots) take(conn net.Conn, source netip.Addr) *slot {
	s.mu.Lock()
	defer s.mu.Unlock()
	sl := &slot{conn: conn}
	if !s.add(sl, source) {
		return nil
	}
	return sl
}

func (s *slots) add(sl *slot, source netip.Addr) bool {
	if s.by == nil {
		s.by = map[netip.Addr][]*slot{}
	}
	if len(s.by[source]) >= maxSortingPerSource {
		return false
	}
	if s.taken >= maxSorting && !s.evict(len(s.by[source])) {
		return false
	}
	sl.source = source
	s.taken++
	s.by[source] = append(s.by[source], sl)
	return true
}

// evict takes the oldest slot of the source that has the most, if that is more than
// one over n: its connection is handed over as it is.
func (s *slots) evict(n int) bool {
	var most []*slot
	for _, list := range s.by {
		if len(list) > len(most) {
			most = list
		}
	}
	if len(most) <= n+1 {
		return false
	}
	victim := most[0]
	s.drop(victim)
	victim.mu.Lock()
	defer victim.mu.Unlock()
	victim.evicted = true
	_ = victim.conn.SetReadDeadline(time.Now())
	return true
}

// deadline sets the read deadline of a slot's connection, which is over where the slot
// was taken away.
func (sl *slot) deadline(t time.Time) {
	sl.mu.Lock()
	defer sl.mu.Unlock()
	if sl.evicted {
		t = time.Now()
	}
	_ = sl.conn.SetReadDeadline(t)
}

// give gives a slot back, if it was not taken away.
func (s *slots) give(sl *slot) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(sl)
}

func (s *slots) drop(sl *slot) {
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

// move gives a slot to another source, if that may have it.
func (s *slots) move(sl *slot, to netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(sl)
	return s.add(sl, to)
}
