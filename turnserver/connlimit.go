package turnserver

import (
	"net/netip"
	"sync"
)

// connLimit counts open connections, in all and by source.
type connLimit struct {
	mu       sync.Mutex
	all      int
	bySource map[netip.Addr]int
}

// acquire counts a connection of addr, unless that makes more than most, or more than
// perSource of one source.
func (l *connLimit) acquire(addr netip.Addr, most, perSource int) bool {
	key := sourceKey(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= most || l.bySource[key] >= perSource {
		return false
	}
	l.all++
	l.bySource[key]++
	return true
}

func (l *connLimit) release(addr netip.Addr) {
	key := sourceKey(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.bySource[key]--; l.bySource[key] == 0 {
		delete(l.bySource, key)
	}
}
