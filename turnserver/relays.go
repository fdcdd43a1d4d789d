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
	// taken are those of by at the settings' addresses and ports, by family.
	taken map[netip.Addr]int
	// gone are the counts of allocations that have ended, by where they came in.
	gone map[origin]Relayed
}

func (r *relays) get(addr netip.AddrPort) *allocation {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.by[addr]
}

// free returns how many ports of the settings' range have no allocation at addr.
func (r *relays) free(addr netip.Addr) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	ports := r.s.settings.Load().RelayPorts
	return int(ports.Max) - int(ports.Min) + 1 - r.taken[addr]
}

// settle replaces the settings, and counts anew what is taken of their ports: older
// allocations may lie outside.
func (r *relays) settle(c *Settings) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.s.settings.Store(c)
	r.taken = map[netip.Addr]int{}
	for at := range r.by {
		r.count(at, 1)
	}
}

// count counts n allocations at an address. mu is held.
func (r *relays) count(at netip.AddrPort, n int) {
	if ports := r.s.settings.Load().RelayPorts; at.Port() >= ports.Min && at.Port() <= ports.Max {
		r.taken[at.Addr()] += n
	}
}

// origin is where clients come in.
type origin struct {
	listener  string
	transport Transport
}

// sums returns the counts of all allocations, by listener and by transport.
func (r *relays) sums() (byListener, byTransport map[string]Relayed) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	all := maps.Clone(r.gone)
	if all == nil {
		all = map[origin]Relayed{}
	}
	for _, a := range r.by {
		a.addTo(all)
	}
	byListener, byTransport = map[string]Relayed{}, map[string]Relayed{}
	for from, sum := range all {
		byListener[from.listener] = byListener[from.listener].plus(sum)
		byTransport[from.transport.String()] = byTransport[from.transport.String()].plus(sum)
	}
	return byListener, byTransport
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
	r.count(a.addr, -1)
	total := &r.s.counters.flow
	total.upBytes.Add(a.flow.upBytes.Load())
	total.upPackets.Add(a.flow.upPackets.Load())
	total.downBytes.Add(a.flow.downBytes.Load())
	total.downPackets.Add(a.flow.downPackets.Load())
	if r.gone == nil {
		r.gone = map[origin]Relayed{}
	}
	a.addTo(r.gone)
}

// put enters an allocation whose socket is open.
func (r *relays) put(a *allocation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.by[a.addr] = a
	r.count(a.addr, 1)
}
