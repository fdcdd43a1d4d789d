package turnserver

import (
	"crypto/rand"
	"errors"
	"net"
	"net/netip"
	"time"

	"go.uber.org/zap"
)

// defaultLifetime is how long an allocation lasts where the client does not ask for
// longer: RFC 8656, section 7.2.
const defaultLifetime = 10 * time.Minute

// generator is pion's RelayAddressGenerator.
type generator struct{ desk *desk }

var errRefused = errors.New("refused")

func (generator) Validate() error { return nil }

func (generator) AllocateConn(string, int) (net.Conn, net.Addr, error) { return nil, nil, errRefused }

// AllocatePacketConn makes the allocation that the current request asks for. pion gets
// a stub in its place, and forgets it at once.
func (g generator) AllocatePacketConn(string, int) (net.PacketConn, net.Addr, error) {
	in, r := g.desk.in, &g.desk.in.req
	a, code := in.allocate()
	if code != 0 {
		r.code = code
		return nil, nil, errRefused
	}
	r.alloc = a
	r.answer = allocated(&in.msg, a, r.proof)
	r.stub = &stub{closed: make(chan struct{})}
	return r.stub, net.UDPAddrFromAddrPort(a.addr), nil
}

// stub stands for an allocation in pion's table. pion reads it on a goroutine that it
// starts for it; at the error it deletes what it has of the allocation, and closes the
// stub.
type stub struct {
	net.PacketConn
	closed chan struct{}
}

func (*stub) ReadFrom([]byte) (int, net.Addr, error) { return 0, nil, net.ErrClosed }

func (s *stub) Close() error {
	close(s.closed)
	return nil
}

// admitAllocate checks the current Allocate as RFC 8656, section 7.2, wants it. Where
// it has been answered before, the answer is given again.
func (in *intake) admitAllocate() (code int) {
	r, m := &in.req, &in.msg
	switch a := r.alloc; {
	case a == nil && !in.door.takesNew():
		return codeInsufficient
	case a != nil && a.madeBy == m.txid:
		r.answer = allocated(m, a, r.proof)
		return 0
	case a != nil:
		return codeMismatch
	case m.has&hasTransport == 0:
		return codeBadRequest
	case m.transport != transportUDP:
		return codeTransport // a TCP relay, RFC 6062
	case m.has&hasReservation != 0 && m.has&(hasEvenPort|hasFamily|hasAdditionalFamily) != 0,
		m.has&hasAdditionalFamily != 0 && (m.has&hasFamily != 0 || m.reserveNext):
		return codeBadRequest
	case m.has&hasFamily != 0 && m.family != familyIPv4 && m.family != familyIPv6:
		return codeFamily
	}
	return 0
}

// lifetime returns the seconds that the current request is granted: what it asks for,
// at least the default and at most the policy's bound.
func (in *intake) lifetime(p *Policy) uint32 {
	least, most := in.s.timeouts.lifetime, p.MaxLifetime
	seconds := uint32(least / time.Second)
	if in.msg.has&hasLifetime != 0 {
		seconds = max(seconds, min(in.msg.lifetime, uint32(most/time.Second)))
	}
	return seconds
}

// addresses are where allocations of one family are made.
func (in *intake) addresses(family byte) (public, bind netip.Addr) {
	cfg := in.s.settings.Load()
	if family == familyIPv6 && cfg.RelayAddress.Is4() {
		return cfg.RelayAddress6, cfg.RelayBind6
	}
	if family == familyIPv4 && cfg.RelayAddress.Is6() {
		return netip.Addr{}, netip.Addr{}
	}
	return cfg.RelayAddress, cfg.RelayBind
}

// allocate makes an allocation for the current request, or tells the error code.
func (in *intake) allocate() (*allocation, int) {
	s, m := in.s, &in.msg
	p := s.policy.Load()
	family := m.family
	if m.has&hasAdditionalFamily != 0 {
		family = familyIPv4
	}
	public, bind := in.addresses(family)
	switch {
	case !p.RelayEnabled || !s.settings.Load().RelayAddress.IsValid():
		return nil, codeForbidden
	case !public.IsValid():
		return nil, codeFamily
	case p.TotalBytes > 0 && s.relayed.Load() >= p.TotalBytes:
		return nil, codeInsufficient
	}
	a, code := in.make(p, public, bind, portWish{even: m.has&hasEvenPort != 0, next: m.reserveNext})
	if code != 0 {
		return nil, code
	}
	if m.has&hasAdditionalFamily != 0 {
		if public, bind = in.addresses(familyIPv6); !public.IsValid() {
			a.secondCode = codeFamily
		} else {
			var second *allocation
			second, a.secondCode = in.make(p, public, bind, portWish{})
			a.second.Store(second)
		}
	}
	in.mu.Lock()
	in.hold(a.client, a)
	in.mu.Unlock()
	for one := a; one != nil; one = one.second.Load() {
		one.begin()
	}
	return a, 0
}

// make makes an allocation of one family, which has not begun.
func (in *intake) make(p *Policy, public, bind netip.Addr, wish portWish) (*allocation, int) {
	s, r := in.s, &in.req
	a := &allocation{
		s: s, in: in, client: r.from, made: time.Now(), madeBy: in.msg.txid, granted: in.lifetime(p),
	}
	a.policy.Store(p)
	if !s.enter() {
		return nil, codeInsufficient
	}
	if code := in.equip(a, p, public, bind, wish); code != 0 {
		s.wg.Done()
		return nil, code
	}
	a.shared = s.readers.watches(a.sock)
	a.expiry = time.AfterFunc(time.Duration(a.granted)*time.Second, a.end)
	s.relays.put(a)
	s.counters.live[in.transport].Add(1)
	s.counters.made[in.transport].Add(1)
	fields := []zap.Field{zap.Stringer("transport", in.transport), zap.String("user", a.user.name)}
	if p.LogAddresses {
		fields = append(fields, zap.Stringer("client", a.client.addr), zap.Stringer("relayed", a.addr))
	}
	s.log.Debug("allocation made", fields...)
	return a, 0
}

// equip gives a new allocation its place in the user's quota and its socket: one that
// was reserved before, or a new one.
func (in *intake) equip(a *allocation, p *Policy, public, bind netip.Addr, wish portWish) (code int) {
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
		var token [8]byte
		_, _ = rand.Read(token[:]) // it never fails
		a.token = string(token[:])
		s.reservations.put(a.token, &reservation{user: u, sock: next, addr: netip.AddrPortFrom(addr.Addr(), addr.Port()+1)})
	}
	return 0
}

// refresh serves the current Refresh: RFC 8656, section 8.2.
func (in *intake) refresh(p *Policy) (code int) {
	r, m := &in.req, &in.msg
	var meant []*allocation
	for a := r.alloc; a != nil; a = a.second.Load() {
		if m.has&hasFamily == 0 || (m.family == familyIPv4) == a.addr.Addr().Is4() && m.family <= familyIPv6 {
			meant = append(meant, a)
		}
	}
	if len(meant) == 0 {
		return codePeerFamily
	}
	if m.deletes() {
		for _, a := range meant {
			a.end()
		}
		r.answer = refreshed(m, 0, r.proof)
		return 0
	}
	if !p.RelayEnabled {
		for _, a := range meant {
			a.end()
		}
		return codeForbidden
	}
	seconds := in.lifetime(p)
	for _, a := range meant {
		a.policy.Store(p)
		a.extend(seconds)
	}
	r.answer = refreshed(m, seconds, r.proof)
	return 0
}

// permit serves the current CreatePermission or ChannelBind: it grants all of its peers
// or none, and tells the error code.
func (in *intake) permit(p *Policy) (code int) {
	r, m := &in.req, &in.msg
	binds := m.method == methodChannelBind
	if len(m.peers) == 0 || binds && (m.has&hasChannel == 0 || m.channel < minChannel || m.channel > maxChannel) {
		return codeBadRequest
	}
	by := map[*allocation][]netip.AddrPort{}
	for _, peer := range m.peers {
		a := r.alloc.toward(peer.Addr())
		switch p.checkPeer(peer.Addr(), a.addr.Addr(), in.s.own.has) {
		case peerFamily:
			return codePeerFamily
		case peerDenied:
			return codeForbidden
		}
		by[a] = append(by[a], peer)
	}
	defer func() {
		// A policy that has come meanwhile may have revoked before this granted.
		if newer := in.s.policy.Load(); newer != p {
			for a := range by {
				a.revoke(newer)
			}
		}
	}()
	if binds {
		a := r.alloc.toward(m.peers[0].Addr())
		for other := r.alloc; other != nil; other = other.second.Load() {
			if _, taken := other.peerOf(m.channel, in.s.now()); taken && other != a {
				return codeBadRequest
			}
		}
		return a.bind(m.channel, m.peers[0], in.s.now())
	}
	for a, peers := range by {
		if code := a.allow(peers, in.s.now()); code != 0 {
			return code
		}
	}
	return 0
}
