package turnserver

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
)

// sharedListener names the listener of another server, by its address.
func sharedListener(local net.Addr) string {
	return fmt.Sprintf("shared/:%d", addrPortOf(local).Port())
}

// listener is an address that the server listens on.
type listener struct {
	network, asked string // as it was asked for, such as "udp" and ":3478"
	bound          net.Addr
	stream         net.Listener // of tcp and tls
	packets        []*intake    // of udp, one for each socket
}

// door is what a UDP socket lets in. Once it is retired it takes no more allocations,
// unless another listener is there for its address, and when the last has ended it
// closes: the clients of those know no other way.
type door struct {
	close    func() error
	retired  atomic.Bool
	replaced atomic.Bool // another listener is there for its address
	closed   atomic.Bool
}

// takesNew reports whether new allocations are made here.
func (d *door) takesNew() bool { return !d.retired.Load() || d.replaced.Load() }

func (d *door) shut() {
	if d.closed.CompareAndSwap(false, true) {
		_ = d.close()
	}
}

// listeners are those of a server. As a reload opens the next listeners before it
// retires the old ones, several may have one port, at different addresses or in
// different protocols: the system gives a datagram to the socket that is bound most
// closely, or to one of those bound alike.
type listeners struct {
	mu  sync.Mutex
	all []*listener
	// overlapping are the intakes of those UDP ports that several listeners have.
	overlapping atomic.Pointer[map[uint16][]*intake]
}

// add returns a listener that was retired and still has sockets at the address that is
// asked for, or the one that open makes.
func (ls *listeners) add(network, asked string, open func() (*listener, error)) (net.Addr, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	defer ls.arrange()
	for _, l := range ls.all {
		l.packets = slices.DeleteFunc(l.packets, func(in *intake) bool { return in.door.closed.Load() })
		if l.network == network && l.asked == asked && len(l.packets) > 0 && l.packets[0].door.retired.Load() {
			for _, in := range l.packets {
				in.door.retired.Store(false)
			}
			return l.bound, nil
		}
	}
	ls.all = slices.DeleteFunc(ls.all, func(l *listener) bool { return l.stream == nil && len(l.packets) == 0 })
	l, err := open()
	if err != nil {
		return nil, err
	}
	l.network, l.asked = network, asked
	ls.all = append(ls.all, l)
	return l.bound, nil
}

// vacant returns the error of binding to an address of a network, udp or tcp, that
// somebody else has, or a listener of the same name, which may be tls too. mu is held. As sockets that share an address need not
// know of each other, this is asked before one is opened that may share its own.
func (ls *listeners) vacant(network, name, asked string) error {
	if !canShare {
		return nil // binding will tell
	}
	var addr net.Addr
	var err error
	if network == "udp" {
		addr, err = net.ResolveUDPAddr(network, asked)
	} else {
		addr, err = net.ResolveTCPAddr(network, asked)
	}
	if err != nil {
		return err
	}
	at := addrPortOf(addr)
	if at.Port() == 0 {
		return nil
	}
	for _, l := range ls.all {
		if bound := addrPortOf(l.bound); l.bound.Network() == network && bound.Port() == at.Port() && (bound != at || l.network != name) {
			return nil
		}
	}
	if network == "udp" {
		conn, err := net.ListenPacket(network, asked)
		if err != nil {
			return err
		}
		return conn.Close()
	}
	ln, err := net.Listen(network, asked)
	if err != nil {
		return err
	}
	return ln.Close()
}

// arrange finds out anew which listeners overlap. mu is held.
func (ls *listeners) arrange() {
	ports := map[uint16][]*listener{}
	for _, l := range ls.all {
		if len(l.packets) > 0 {
			port := addrPortOf(l.bound).Port()
			ports[port] = append(ports[port], l)
		}
	}
	overlapping := map[uint16][]*intake{}
	for port, all := range ports {
		for _, l := range all {
			if len(all) > 1 {
				overlapping[port] = append(overlapping[port], l.packets...)
			}
			replaced := slices.ContainsFunc(all, func(o *listener) bool {
				at := addrPortOf(o.bound).Addr()
				return !o.packets[0].door.retired.Load() && (at == netip.IPv6Unspecified() || at == addrPortOf(l.bound).Addr() ||
					at == netip.IPv4Unspecified() && addrPortOf(l.bound).Addr().Is4())
			})
			for _, in := range l.packets {
				in.door.replaced.Store(replaced)
			}
		}
	}
	if len(overlapping) == 0 {
		ls.overlapping.Store(nil)
		return
	}
	ls.overlapping.Store(&overlapping)
}

// retire closes the listener that is bound to an address of a network, udp or tcp, as
// soon as nobody needs it. idle reports whether a socket has no allocations.
func (ls *listeners) retire(bound net.Addr, idle func(*intake) bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	defer ls.arrange()
	for i, l := range ls.all {
		if l.bound.Network() != bound.Network() || l.bound.String() != bound.String() {
			continue
		}
		for _, in := range l.packets {
			in.door.retired.Store(true)
			if idle(in) {
				in.door.shut()
			}
		}
		if l.stream != nil {
			_ = l.stream.Close()
			ls.all = slices.Delete(ls.all, i, i+1)
		}
		return
	}
}
