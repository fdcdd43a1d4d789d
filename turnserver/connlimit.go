package turnserver

import (
	"net/netip"
	"sync"
)

// connLimit counts open connections, in all and by source.
type connLimit struct {
	mu             sync.Mutex
	all            int
	bySource       map[netip.Addr]int
	max, perSource int
}

func (l *connLimit) acquire(addr netip.Addr) bool {
	key := sourceKey(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.max || l.bySource[key] >= l.perSource {
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
