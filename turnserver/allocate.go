package turnserver

import (
	"errors"
	"net"
	"net/netip"

	"go.uber.org/zap"
)

// generator is pion's RelayAddressGenerator.
type generator struct{ in *intake }

var errRefused = errors.New("refused")

func (generator) Validate() error { return nil }

func (generator) AllocateConn(string, int) (net.Conn, net.Addr, error) { return nil, nil, errRefused }

// AllocatePacketConn makes the allocation that the current request asks for. Where
// that is for an even port, pion first looks for one by opening and closing sockets;
// it is told that it has found one, and the port is looked for here.
func (g generator) AllocatePacketConn(_ string, port int) (net.PacketConn, net.Addr, error) {
	in, r := g.in, &g.in.req
	if in.msg.has&hasEvenPort != 0 && port == 0 {
		return new(allocation), &net.UDPAddr{Port: 2}, nil
	}
	a, code := in.allocate()
	if code != 0 {
		r.code = code
		return nil, nil, errRefused
	}
	r.alloc, r.made = a, true
	return a, net.UDPAddrFromAddrPort(a.addr), nil
}

// allocate makes an allocation for the current request, or tells the error code.
func (in *intake) allocate() (*allocation, int) {
	s, r, m := in.s, &in.req, &in.msg
	p := s.policy.Load()
	public, bind := s.cfg.RelayAddress, s.cfg.RelayBind
	switch {
	case !p.RelayEnabled || !public.IsValid():
		return nil, codeForbidden
	case m.transport != transportUDP:
		return nil, codeTransport // a TCP relay, RFC 6062
	case m.family == familyIPv6 && public.Is4():
		public, bind = s.cfg.RelayAddress6, s.cfg.RelayBind6
	case m.family == familyIPv4 && public.Is6():
		return nil, codeFamily
	}
	switch {
	case !public.IsValid():
		return nil, codeFamily
	case p.TotalBytes > 0 && s.relayed.Load() >= p.TotalBytes:
		return nil, codeInsufficient
	}
	a := &allocation{
		s: s, in: in, client: r.from,
		permissions: map[netip.Addr]int64{},
		channels:    map[uint16]*channel{},
		bound:       map[netip.AddrPort]*channel{},
		closed:      make(chan struct{}),
	}
	a.policy.Store(p)
	if !s.enter() {
		return nil, codeInsufficient
	}
	if code := in.equip(a, p, public, bind); code != 0 {
		s.wg.Done()
		return nil, code
	}
	s.wg.Add(1) // beside enter's for a's goroutine, one for a's end
	s.relays.put(a)
	in.mu.Lock()
	in.allocs[a.client] = a
	in.mu.Unlock()
	s.counters.live[in.transport].Add(1)
	s.counters.made[in.transport].Add(1)
	fields := []zap.Field{zap.Stringer("transport", in.transport), zap.String("user", a.user.name)}
	if p.LogAddresses {
		fields = append(fields, zap.Stringer("client", a.client), zap.Stringer("relayed", a.addr))
	}
	s.log.Debug("allocation made", fields...)
	return a, 0
}

// equip gives a new allocation its place in the user's quota and its socket: one that
// was reserved before, or a new one.
func (in *intake) equip(a *allocation, p *Policy, public, bind netip.Addr) (code int) {
	s, r, m := in.s, &in.req, &in.msg
	if m.token != "" {
		held := s.reservations.take(m.token, r.cred.user)
		if held == nil {
			return codeInsufficient
		}
		a.user, a.sock, a.addr = held.user, held.sock, held.addr
		return 0
	}
	places := 1
	wish := portWish{even: m.has&hasEvenPort != 0, next: m.reserveNext}
	if wish.next {
		places = 2
	}
	u, ok := s.users.acquire(r.cred.user, r.cred.expires, places, p.UserAllocations)
	if !ok {
		return codeQuota
	}
	if p.UserBytes > 0 && u.used() >= p.UserBytes {
		s.users.release(u, places)
		return codeQuota
	}
	sock, next, addr, err := s.relays.open(public, bind, wish)
	if err != nil {
		s.users.release(u, places)
		s.complain("allocation refused", err)
		return codeInsufficient
	}
	a.user, a.sock, a.addr = u, sock, addr
	if next != nil {
		r.reserved = &reservation{user: u, sock: next, addr: netip.AddrPortFrom(addr.Addr(), addr.Port()+1)}
	}
	return 0
}
