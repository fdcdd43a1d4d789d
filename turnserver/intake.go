package turnserver

import (
	"net"
	"net/netip"
	"sync"
	"time"
)

// tuple tells the clients of an intake apart: the part of the 5-tuple (RFC 8656,
// section 2.2) that the intake itself does not fix.
type tuple struct {
	addr  netip.AddrPort // the client's
	local netip.Addr     // where it has sent to, on a socket that is bound to no address
}

// clientSide sends to clients: to any over a UDP socket, to one over a connection.
type clientSide interface {
	// toClient sends datagrams in order and returns how many were taken. It does not
	// wait: what cannot go at once is queued within bounds, or dropped.
	toClient(client tuple, msgs [][]byte) (int, error)
	// answer sends the answer to a request, before datagrams that are queued.
	answer(client tuple, b []byte) error
}

// intake is one way in for clients: a UDP socket, or a connection. One goroutine reads
// it. msg, up and req belong to that goroutine, and to the desk's while it waits there
// for a request to be handled, so they need no lock.
type intake struct {
	s         *core
	desk      *desk
	transport Transport
	client    clientSide
	local     net.Addr
	listener  string // network and address of what the client came in by
	door      door

	msg message
	up  upQueue
	req request

	mu     sync.RWMutex
	allocs map[tuple]*allocation // nil where there is one client, of a connection
	only   *allocation           // that client's
}

// held returns a client's allocation, and hold makes a its allocation, which may be nil. mu
// is held.
func (in *intake) held(client tuple) *allocation {
	if in.allocs == nil {
		return in.only
	}
	return in.allocs[client]
}

func (in *intake) hold(client tuple, a *allocation) {
	switch {
	case in.allocs == nil:
		in.only = a
	case a == nil:
		delete(in.allocs, client)
	default:
		in.allocs[client] = a
	}
}

// lookup returns the client's allocation, also where it was made by way of another
// listener of the same port.
func (in *intake) lookup(client tuple) *allocation {
	a := in.find(client)
	overlapping := in.s.listeners.overlapping.Load()
	if a != nil || overlapping == nil || in.transport != UDP {
		return a
	}
	here := addrPortOf(in.local)
	if !client.local.IsValid() {
		client.local = here.Addr()
	}
	for _, other := range (*overlapping)[here.Port()] {
		key := client
		if at := addrPortOf(other.local).Addr(); at == client.local {
			key.local = netip.Addr{}
		} else if !at.IsUnspecified() {
			continue
		}
		if a = other.find(key); a != nil {
			return a
		}
	}
	return nil
}

func (in *intake) find(client tuple) *allocation {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.held(client)
}

func (in *intake) remove(a *allocation) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.door.retired.Load() {
		// The answer to what has ended it is still to be sent, and may be asked for again.
		time.AfterFunc(lastAnswer, func() {
			if in.count() == 0 && in.door.retired.Load() {
				in.door.shut()
			}
		})
	}
	switch first := in.held(a.client); {
	case first == nil:
	case first == a && a.second.Load() != nil:
		in.hold(a.client, a.second.Swap(nil))
	case first == a:
		in.hold(a.client, nil)
	default:
		first.second.CompareAndSwap(a, nil)
	}
}

// endAll ends the allocations, as no client can reach them any more.
func (in *intake) endAll() {
	in.mu.RLock()
	var all []*allocation
	add := func(a *allocation) {
		for ; a != nil; a = a.second.Load() {
			all = append(all, a)
		}
	}
	add(in.only)
	for _, a := range in.allocs {
		add(a)
	}
	in.mu.RUnlock()
	for _, a := range all {
		a.end()
	}
}

func (in *intake) count() int {
	in.mu.RLock()
	defer in.mu.RUnlock()
	if in.only != nil {
		return 1
	}
	return len(in.allocs)
}

// take works on one datagram or frame. b must stay as it is until the up queue is
// flushed.
func (in *intake) take(b []byte, from tuple, now int64) {
	m := &in.msg
	m.isChannelData = false
	if d := m.parse(b); d != dropNone {
		in.s.counters.drop(d)
		return
	}
	if !m.isChannelData && m.class == classRequest {
		in.up.flush()
		in.request(from, now)
		return
	}
	if d := in.relayUp(m, from, now); d != dropNone {
		in.s.counters.drop(d)
	}
}

// relayUp relays ChannelData or a Send indication to its peer.
func (in *intake) relayUp(m *message, from tuple, now int64) Drop {
	a := in.lookup(from)
	if a == nil {
		return DropAllocation
	}
	var peer netip.AddrPort
	if m.isChannelData {
		var ok bool
		if peer, ok = a.peerOf(m.channel, now); !ok {
			if a = a.second.Load(); a == nil {
				return DropPermission
			}
			if peer, ok = a.peerOf(m.channel, now); !ok {
				return DropPermission
			}
		}
	} else {
		peer = m.peers[0]
		if a = a.toward(peer.Addr()); !a.permitted(peer.Addr(), now) {
			return DropPermission
		}
	}
	if peer.Port() == 0 {
		return DropPermission // nobody is there, and the system refuses it
	}
	if d := a.admit(now, len(m.payload), true); d != dropNone {
		return d
	}
	var to *allocation
	if peer.Addr() == a.addr.Addr() {
		// The relay's own address: another allocation, by way of memory. Nothing else
		// on this host can be reached so.
		if to = in.s.relays.get(peer); to == nil && !a.policy.Load().opens(peer.Addr()) {
			return DropOwnAddress
		}
	}
	in.up.add(a, to, peer, m.payload)
	return dropNone
}

// lastAnswer is how long a retired socket stays open behind its last allocation.
const lastAnswer = time.Second
