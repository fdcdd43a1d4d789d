package turnserver

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/turn/v2"
	"go.uber.org/zap"
)

// clientSide sends to clients: to any over a UDP socket, to one over a connection.
type clientSide interface {
	// toClient sends messages in order and returns how many were sent.
	toClient(client netip.AddrPort, msgs [][]byte) (int, error)
}

// intake is one way in for clients, with a pion server of its own. pion reads it
// as a net.PacketConn, in one goroutine: a request goes to pion when pion reads,
// pion calls back while it handles the request (authenticate, AllocatePacketConn,
// WriteTo), and is done with it when it reads again (settle). So request
// below belongs to that goroutine, and needs no lock.
type intake struct {
	s         *Server
	transport Transport
	client    clientSide
	local     net.Addr

	msg message
	up  upQueue
	req request

	mu     sync.RWMutex
	allocs map[netip.AddrPort]*allocation
}

// request is the request that pion is handling.
type request struct {
	active, answered bool
	from             netip.AddrPort
	alloc            *allocation // the client's, made by this request or before
	made             bool        // by this request
	granted          bool        // permissions or a channel, by authenticate
	ending           bool        // alloc ends when the request is answered
	cred             credential
	key              []byte       // not nil once the request is authenticated
	reserved         *reservation // what the request reserves, until it is answered
	code             int          // the error code to answer with instead of pion's
}

func (in *intake) lookup(client netip.AddrPort) *allocation {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return in.allocs[client]
}

func (in *intake) remove(a *allocation) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.allocs[a.client] == a {
		delete(in.allocs, a.client)
	}
}

func (in *intake) count() int {
	in.mu.RLock()
	defer in.mu.RUnlock()
	return len(in.allocs)
}

// take works on one datagram or frame. It reports whether it is a request for pion.
// b must stay as it is until the up queue is flushed.
func (in *intake) take(b []byte, from netip.AddrPort, now int64) bool {
	m := &in.msg
	m.isChannelData = false
	if d := m.parse(b); d != dropNone {
		in.s.counters.drop(d)
		return false
	}
	if !m.isChannelData && m.class == classRequest {
		return in.request(from, now)
	}
	if d := in.relayUp(m, from, now); d != dropNone {
		in.s.counters.drop(d)
	}
	return false
}

// relayUp relays ChannelData or a Send indication to its peer.
func (in *intake) relayUp(m *message, from netip.AddrPort, now int64) Drop {
	a := in.lookup(from)
	if a == nil {
		return DropAllocation
	}
	var peer netip.AddrPort
	if m.isChannelData {
		var ok bool
		if peer, ok = a.peerOf(m.channel, now); !ok {
			return DropPermission
		}
	} else if peer = m.peers[0]; !a.permitted(peer.Addr(), now) {
		return DropPermission
	}
	if d := a.admit(now, len(m.payload)); d != dropNone {
		return d
	}
	if peer.Addr() == a.addr.Addr() {
		// The relay's own address: another allocation, by way of memory. Nothing else
		// on this host can be reached so.
		if to := in.s.relays.get(peer); to != nil {
			d := to.receive(a.addr, m.payload, now)
			a.countUp(1, int64(len(m.payload)))
			return d
		}
		if p := a.policy.Load(); !p.opens(peer.Addr()) {
			return DropOwnAddress
		}
	}
	in.up.add(a, peer, m.payload)
	return dropNone
}

// request looks at a request before pion does, answers those that pion would not
// answer, or not well, and reports whether the request is for pion.
func (in *intake) request(from netip.AddrPort, now int64) bool {
	m, c := &in.msg, &in.s.counters
	in.req = request{from: from, alloc: in.lookup(from)}
	signed := m.has&hasIntegrity != 0
	switch {
	case m.method == methodBinding:
		if !in.mayAnswer(now, 0.25) {
			return false
		}
		if len(m.unknown) > 0 {
			in.refuse(codeUnknownAttr)
			return false
		}
		c.bindings.Add(1)
		in.reply(in.bindingAnswer())
		return false
	case !signed && !in.mayAnswer(now, 1):
		return false
	case m.method == methodCreatePermission || m.method == methodChannelBind:
		if in.req.alloc == nil { // pion would not answer
			if !signed || in.mayAnswer(now, 1) {
				in.refuse(codeMismatch)
			}
			return false
		}
	}
	if signed && len(m.unknown) > 0 {
		if in.mayAnswer(now, 1) {
			in.refuse(codeUnknownAttr)
		}
		return false
	}
	if !signed {
		c.challenges.Add(1)
	}
	in.req.active = true
	return true
}

// mayAnswer holds the limit on answers to unauthenticated datagrams. Streams need
// none, as nobody can be answered there who has not asked.
func (in *intake) mayAnswer(now int64, cost float64) bool {
	if in.transport != UDP || in.s.sources.take(now, in.req.from.Addr(), cost, in.s.policy.Load().UnauthRate) {
		return true
	}
	in.s.counters.drop(DropUnauthLimit)
	return false
}

func (in *intake) bindingAnswer() []byte {
	m := &in.msg
	var v [20]byte
	n := putXORAddress(v[:], in.req.from, m.txid)
	b := appendHeader(make([]byte, 0, 64), classSuccess, methodBinding, m.txid)
	b = appendAttr(b, attrXORMapped, v[:n])
	binary.BigEndian.PutUint16(b[2:], uint16(len(b)+8-stunHeader))
	return appendAttr(b, attrFingerprint, binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(b)^fingerprintXOR))
}

// refuse answers the current request with an error of the server's own.
func (in *intake) refuse(code int) {
	var nonce []byte
	key := in.req.key
	switch {
	case code == codeUnauthorized:
		nonce, key = in.msg.nonce, nil // pion has found the nonce good
	case key != nil:
		in.s.counters.refused[code].Add(1)
	}
	in.reply(errorAnswer(in.msg.method, in.msg.txid, code, in.s.cfg.Realm, nonce, in.msg.unknown, key))
}

func (in *intake) reply(b []byte) {
	in.req.answered = true
	if _, err := in.client.toClient(in.req.from, [][]byte{b}); err != nil && !errors.Is(err, net.ErrClosed) {
		in.s.counters.drop(DropSocket)
	}
}

// settle ends the request that pion has handled. pion leaves some unanswered that
// are for an allocation that does not exist.
func (in *intake) settle() {
	r := &in.req
	if !r.active {
		return
	}
	if !r.answered {
		in.refuse(codeMismatch)
	}
	if r.reserved != nil {
		in.s.reservations.drop(r.reserved)
	}
	if r.ending && r.alloc != nil {
		_ = r.alloc.Close()
	}
	in.req = request{}
}

// WriteTo is pion's answer to the current request.
func (in *intake) WriteTo(b []byte, _ net.Addr) (int, error) {
	r := &in.req
	if len(b) < stunHeader || !r.active || r.answered {
		return len(b), nil
	}
	c, _ := splitType(binary.BigEndian.Uint16(b))
	if c == classSuccess {
		in.adopt(b)
		in.reply(b)
		return len(b), nil
	}
	if r.granted {
		in.reply(appendIntegrity(appendHeader(nil, classSuccess, in.msg.method, in.msg.txid), r.key))
		return len(b), nil
	}
	code := r.code
	if code == 0 {
		if code = errorCode(b); code == 0 {
			code = codeBadRequest // pion refuses a permission without a code
		} else if r.key == nil {
			// A challenge or a stale nonce: pion's answer has the nonce.
			if in.msg.has&hasIntegrity == 0 || in.mayAnswer(in.s.now(), 1) {
				in.reply(b)
			}
			r.answered = true
			return len(b), nil
		}
	}
	if r.key != nil || in.mayAnswer(in.s.now(), 1) {
		in.refuse(code)
	}
	r.answered = true
	return len(b), nil
}

// errorCode reads the ERROR-CODE of a response that pion has made, or returns 0.
func errorCode(b []byte) int {
	if v := findAttr(b, attrErrorCode); len(v) >= 4 {
		return int(v[2])*100 + int(v[3])
	}
	return 0
}

// adopt takes over into the data plane what pion grants with the response b.
func (in *intake) adopt(b []byte) {
	r, m := &in.req, &in.msg
	a := r.alloc
	if a == nil {
		return // a deletion of nothing
	}
	switch m.method {
	case methodAllocate:
		if r.reserved != nil {
			in.s.reservations.put(string(findAttr(b, attrReservationToken)), r.reserved)
			r.reserved = nil
		}
	case methodRefresh:
		a.policy.Store(in.s.policy.Load())
	}
}

// authenticate is pion's AuthHandler. It finds the key that the request is signed
// with, or refuses it. Permissions and channels are served here as well and never
// become pion's: the data plane has no use for pion's tables, and pion would not
// survive a permission that is added at the moment when the allocation expires.
func (in *intake) authenticate(username, realm string, _ net.Addr) ([]byte, bool) {
	r, m := &in.req, &in.msg
	p := in.s.policy.Load()
	refuse := func(code int) ([]byte, bool) {
		if code == codeUnauthorized || code == codeWrongUser {
			in.s.counters.authFailures.Add(1)
		}
		r.code = code
		return nil, false
	}
	cred, ok := parseCredential(username)
	if !ok || realm != in.s.cfg.Realm {
		return refuse(codeUnauthorized)
	}
	var key []byte
	for _, secret := range p.Secrets {
		if k := longTermKey(secret, username, realm); m.signedBy(k) {
			key = k
			break
		}
	}
	if key == nil {
		return refuse(codeUnauthorized)
	}
	r.key, r.cred = key, cred
	if r.alloc != nil && r.alloc.user.name != cred.user {
		return refuse(codeWrongUser)
	}
	// Credentials live for minutes, allocations for as long as they are used: what
	// was allocated in time may be refreshed.
	if r.alloc == nil && !m.deletes() && !time.Now().Before(cred.expires) {
		return refuse(codeUnauthorized)
	}
	if m.method == methodRefresh && r.alloc != nil && !p.RelayEnabled && !m.deletes() {
		r.ending = true
		return refuse(codeForbidden)
	}
	if m.method == methodCreatePermission || m.method == methodChannelBind {
		if code := in.permit(p); code != 0 {
			return refuse(code)
		}
		r.granted = true // and pion's refusal is turned into a success
		return nil, false
	}
	return key, true
}

// permit serves the current CreatePermission or ChannelBind: it grants all of its peers
// or none, and tells the error code.
func (in *intake) permit(p *Policy) (code int) {
	a, m := in.req.alloc, &in.msg
	binds := m.method == methodChannelBind
	if len(m.peers) == 0 || binds && (m.has&hasChannel == 0 || m.channel < minChannel || m.channel > maxChannel) {
		return codeBadRequest
	}
	for _, peer := range m.peers {
		switch p.checkPeer(peer.Addr(), a.addr.Addr(), in.s.own.has) {
		case peerFamily:
			return codePeerFamily
		case peerDenied:
			return codeForbidden
		}
	}
	if binds {
		return a.bind(m.channel, m.peers[0])
	}
	return a.allow(m.peers)
}

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

// LocalAddr and the deadlines make an intake a net.PacketConn.
func (in *intake) LocalAddr() net.Addr              { return in.local }
func (in *intake) SetDeadline(time.Time) error      { return nil }
func (in *intake) SetReadDeadline(time.Time) error  { return nil }
func (in *intake) SetWriteDeadline(time.Time) error { return nil }

// serve starts a pion server that reads conn, which embeds in.
func (in *intake) serve(conn net.PacketConn) error {
	_, err := turn.NewServer(turn.ServerConfig{
		Realm:         in.s.cfg.Realm,
		AuthHandler:   in.authenticate,
		LoggerFactory: silent{},
		InboundMTU:    bufferSize,
		PacketConnConfigs: []turn.PacketConnConfig{{
			PacketConn:            conn,
			RelayAddressGenerator: generator{in},
		}},
	})
	return err
}
