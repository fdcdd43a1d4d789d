package turnserver

import (
	"fmt"
	"net"
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
	packets        []*door      // of udp, one for each socket
}

// door is what a UDP socket lets in. Once it is retired it takes no more allocations,
// and when the last has ended it closes: the clients of those know no other way.
type door struct {
	close   func() error
	retired atomic.Bool
	closed  atomic.Bool
}

func (d *door) shut() {
	if d.closed.CompareAndSwap(false, true) {
		_ = d.close()
	}
}

// listeners are those of a server.
type listeners struct {
	mu  sync.Mutex
	all []*listener
}

// add returns a listener that was retired and still has sockets at the address that is
// asked for, or the one that open makes.
func (ls *listeners) add(network, asked string, open func() (*listener, error)) (net.Addr, error) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for _, l := range ls.all {
		l.packets = slices.DeleteFunc(l.packets, func(d *door) bool { return d.closed.Load() })
		if l.network == network && l.asked == asked && len(l.packets) > 0 && l.packets[0].retired.Load() {
			for _, d := range l.packets {
				d.retired.Store(false)
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

// retire closes the listener that is bound to an address of a network, udp or tcp, as
// soon as nobody needs it. idle reports whether a socket has no allocations.
func (ls *listeners) retire(bound net.Addr, idle func(*door) bool) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for i, l := range ls.all {
		if l.bound.Network() != bound.Network() || l.bound.String() != bound.String() {
			continue
		}
		for _, d := range l.packets {
			d.retired.Store(true)
			if idle(d) {
				d.shut()
			}
		}
		if l.stream != nil {
			_ = l.stream.Close()
			ls.all = slices.Delete(ls.all, i, i+1)
		}
		return
	}
}
