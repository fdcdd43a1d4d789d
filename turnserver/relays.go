package turnserver

import (
	"maps"
	"net/netip"
	"sync"
)

// relays are the server's live allocations by relayed transport address.
type relays struct {
	s  *core
	mu sync.RWMutex
	by map[netip.AddrPort]*allocation
	// ip4 are those of by with an IPv4 address.
	ip4 int
	// gone are the counts of allocations that have ended, by listener.
	gone map[string]Relayed
}

func (r *relays) get(addr netip.AddrPort) *allocation {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.by[addr]
}

// count returns how many allocations there are of the family of addr.
func (r *relays) count(addr netip.Addr) (n int) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if addr.Is4() {
		return r.ip4
	}
	return len(r.by) - r.ip4
}

// byListener returns the counts of all allocations by listener.
func (r *relays) byListener() map[string]Relayed {
	r.mu.RLock()
	defer r.mu.RUnlock()
	out := maps.Clone(r.gone)
	if out == nil {
		out = map[string]Relayed{}
	}
	for _, a := range r.by {
		sum := out[a.in.listener]
		a.flow.addToRelayed(&sum)
		out[a.in.listener] = sum
	}
	return out
}

func (r *relays) each(f func(*allocation)) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, a := range r.by {
		f(a)
	}
}

// remove takes a out of the table; what it has relayed is kept in the counters.
func (r *relays) remove(a *allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.by[a.addr] != a {
		return
	}
	delete(r.by, a.addr)
	if a.addr.Addr().Is4() {
		r.ip4--
	}
	total := &r.s.counters.flow
	total.upBytes.Add(a.flow.upBytes.Load())
	total.upPackets.Add(a.flow.upPackets.Load())
	total.downBytes.Add(a.flow.downBytes.Load())
	total.downPackets.Add(a.flow.downPackets.Load())
	if r.gone == nil {
		r.gone = map[string]Relayed{}
	}
	sum := r.gone[a.in.listener]
	a.flow.addToRelayed(&sum)
	r.gone[a.in.listener] = sum
}

// put enters an allocation whose socket is open.
func (r *relays) put(a *allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by[a.addr] = a
	if a.addr.Addr().Is4() {
		r.ip4++
	}
}
