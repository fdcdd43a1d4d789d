package turnserver

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
)

// maxBindTries bounds the ports that are tried for one allocation, where other
// programs hold ports of the range or the system refuses sockets altogether.
const maxBindTries = 64

// portWish is what a client wants of its port: RFC 8656, section 18.6.
type portWish struct {
	even, next bool // an even one, and the one above held open, too
}

// bindFor returns the address that sockets of the relay address public bind to: bind
// where it is given, else public while this host has it, else any.
func (r *relays) bindFor(public, bind netip.Addr) netip.Addr {
	switch {
	case bind.IsValid():
		return bind
	case r.s.cfg.ListenPacket == nil && r.s.own.local(public):
		return public
	case public.Is4():
		return netip.IPv4Unspecified()
	}
	return netip.IPv6Unspecified()
}

// open opens a relay socket for public at a random free port of the range, and with
// wish.next a second one.
func (r *relays) open(public, bind netip.Addr, wish portWish) (sock, next packetSocket, at netip.AddrPort, err error) {
	ports := r.s.settings.Load().RelayPorts
	count := int(ports.Max) - int(ports.Min) + 1
	network := "udp4"
	if public.Is6() {
		network = "udp6"
	}
	bind = r.bindFor(public, bind)
	start := rand.IntN(count)
	var last error
	for i, failed := 0, 0; i < count && failed < maxBindTries; i++ {
		addr := netip.AddrPortFrom(public, ports.Min+uint16((start+i)%count))
		if wish.even && addr.Port()%2 != 0 || wish.next && addr.Port() == ports.Max || r.get(addr) != nil {
			continue
		}
		sock, err := r.s.listenPacket(network, netip.AddrPortFrom(bind, addr.Port()).String(), false)
		if err == nil && wish.next {
			if next, err = r.s.listenPacket(network, netip.AddrPortFrom(bind, addr.Port()+1).String(), false); err != nil {
				_ = sock.Close()
			}
		}
		if err != nil {
			last = err
			failed++
			continue
		}
		return sock, next, addr, nil
	}
	if last == nil {
		return nil, nil, at, fmt.Errorf("every relay port from %d to %d is in use: widen the range", ports.Min, ports.Max)
	}
	return nil, nil, at, fmt.Errorf("cannot open a relay socket: %w", last)
}
