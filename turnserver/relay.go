package turnserver

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// How long a permission and a channel last: RFC 8656, sections 9 and 12.
const (
	permissionLifetime = 5 * time.Minute
	channelLifetime    = 10 * time.Minute
)

// maxPeers bounds the permissions, and the channels, of one allocation. A neighbor
// takes a permission for each address of its candidates.
const maxPeers = 256

// maxBindTries bounds the ports that are tried for one allocation, where other
// programs hold ports of the range or the system refuses sockets altogether.
const maxBindTries = 64

// allocation is a relayed transport address: who may send what to whom through it. An
// Allocate that asks for both families makes two, of which the first leads to the
// second.
type allocation struct {
	s      *core
	in     *intake
	user   *user
	client tuple
	addr   netip.AddrPort // the relayed transport address, as given out
	sock   packetSocket
	txid   [12]byte // of Data indications: any value does, as nobody answers them

	made time.Time
	// What the answer to its Allocate says, should that be asked for again.
	madeBy     [12]byte // transaction id
	granted    uint32   // lifetime in seconds
	token      string
	second     atomic.Pointer[allocation]
	secondCode int // why there is no second one though it was asked for

	policy atomic.Pointer[Policy] // as of the allocation or its last refresh
	flow   flow

	mu          sync.RWMutex
	permissions map[netip.Addr]int64 // until when
	channels    map[uint16]*channel
	bound       map[netip.AddrPort]*channel

	endOnce sync.Once
	expiry  *time.Timer
}

type channel struct {
	number  uint16
	peer    netip.AddrPort
	expires int64
}

// allow adds or renews permissions for peers, all or none. It returns 0 or the error
// code to answer with.
func (a *allocation) allow(peers []netip.AddrPort) (code int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.s.now()
	maps.DeleteFunc(a.permissions, func(_ netip.Addr, until int64) bool { return until <= now })
	n := len(a.permissions)
	for _, peer := range peers {
		if a.permissions[peer.Addr()] == 0 {
			n++ // an address named twice counts twice, which does no harm
		}
	}
	if n > maxPeers {
		return codeInsufficient
	}
	for _, peer := range peers {
		a.permissions[peer.Addr()] = now + int64(permissionLifetime)
	}
	return 0
}

// bind binds a channel, or renews the binding, and the permission with it. A channel
// keeps its peer and a peer its channel until the binding expires: RFC 8656, section
// 12.2. It returns 0 or the error code to answer with.
func (a *allocation) bind(number uint16, peer netip.AddrPort) (code int) {
	if code := a.allow([]netip.AddrPort{peer}); code != 0 {
		return code
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	now := a.s.now()
	maps.DeleteFunc(a.channels, func(_ uint16, c *channel) bool { return c.expires <= now })
	maps.DeleteFunc(a.bound, func(_ netip.AddrPort, c *channel) bool { return c.expires <= now })
	c := a.channels[number]
	switch {
	case c != a.bound[peer]:
		return codeBadRequest
	case c != nil:
		c.expires = now + int64(channelLifetime)
		return 0
	case len(a.channels) == maxPeers:
		return codeInsufficient
	}
	c = &channel{number, peer, now + int64(channelLifetime)}
	a.channels[number], a.bound[peer] = c, c
	return 0
}

// revoke takes back the permissions and channels of peers that a policy denies.
func (a *allocation) revoke(p *Policy) {
	denied := func(peer netip.Addr) bool { return p.checkPeer(peer, a.addr.Addr(), a.s.own.has) != peerAllowed }
	a.mu.Lock()
	defer a.mu.Unlock()
	maps.DeleteFunc(a.permissions, func(peer netip.Addr, _ int64) bool { return denied(peer) })
	maps.DeleteFunc(a.channels, func(_ uint16, c *channel) bool { return denied(c.peer.Addr()) })
	maps.DeleteFunc(a.bound, func(peer netip.AddrPort, _ *channel) bool { return denied(peer.Addr()) })
}

// permitted reports whether datagrams may pass to and from peer.
func (a *allocation) permitted(peer netip.Addr, now int64) bool {
	a.mu.RLock()
	defer a.mu.RUnlock()
	return a.permissions[peer] > now
}

// peerOf returns the peer that a channel is bound to.
func (a *allocation) peerOf(number uint16, now int64) (netip.AddrPort, bool) {
	a.mu.RLock()
	defer a.mu.RUnlock()
	c := a.channels[number]
	if c == nil || c.expires <= now {
		return netip.AddrPort{}, false
	}
	return c.peer, true
}

// channelOf returns the channel that peer is bound to, or 0.
func (a *allocation) channelOf(peer netip.AddrPort, now int64) uint16 {
	a.mu.RLock()
	defer a.mu.RUnlock()
	if c := a.bound[peer]; c != nil && c.expires > now {
		return c.number
	}
	return 0
}

// admit holds the quotas for n payload bytes. first is false for those that another
// allocation of the server has admitted already: in all, they count once.
func (a *allocation) admit(now int64, n int, first bool) Drop {
	p := a.policy.Load()
	switch {
	case p.UserBytes > 0 && a.user.used() >= p.UserBytes,
		first && p.TotalBytes > 0 && a.s.relayed.Load() >= p.TotalBytes:
		return DropQuota
	case p.UserBandwidth > 0 && !a.user.rate.takeBytes(now, int64(n), p.UserBandwidth),
		first && p.TotalBandwidth > 0 && !a.s.rate.takeBytes(now, int64(n), p.TotalBandwidth):
		return DropBandwidth
	}
	return dropNone
}

// countUp counts payload that was relayed to a peer, countDown what was relayed to
// the client.
func (a *allocation) countUp(packets int, bytes int64) {
	a.flow.upPackets.Add(int64(packets))
	a.flow.upBytes.Add(bytes)
	a.user.up.Add(bytes)
	a.s.relayed.Add(bytes)
}

func (a *allocation) countDown(packets int, bytes int64, first bool) {
	a.flow.downPackets.Add(int64(packets))
	a.flow.downBytes.Add(bytes)
	a.user.down.Add(bytes)
	if first {
		a.s.relayed.Add(bytes)
	}
}

// down relays a batch that came in at the relayed address to the client.
func (a *allocation) down(b *batch) bool { return a.pass(b, true) }

// pass is down; first is false for what comes from another allocation of the server.
func (a *allocation) pass(b *batch, first bool) bool {
	now := a.s.now()
	b.out = b.out[:0]
	var bytes int64
	for i := range b.packets {
		p := &b.packets[i]
		if p.oversize {
			a.s.counters.drop(DropOversize)
			continue
		}
		msg, d := a.wrap(p.buf, p.size, p.from, now, first)
		if d != dropNone {
			a.s.counters.drop(d)
			continue
		}
		b.out = append(b.out, msg)
		bytes += int64(p.size)
	}
	a.deliver(b.out, bytes, first)
	return true
}

// wrap makes the message that tells the client of a datagram from peer: ChannelData
// where there is a channel, a Data indication where there is a permission. The
// datagram lies in buf at headroom; the message is built around it in place.
func (a *allocation) wrap(buf []byte, size int, peer netip.AddrPort, now int64, first bool) ([]byte, Drop) {
	number := a.channelOf(peer, now)
	if number == 0 && !a.permitted(peer.Addr(), now) {
		return nil, DropPermission
	}
	if d := a.admit(now, size, first); d != dropNone {
		return nil, d
	}
	end := headroom + size
	if number != 0 {
		msg := buf[headroom-channelHeader : end]
		binary.BigEndian.PutUint16(msg, number)
		binary.BigEndian.PutUint16(msg[2:], uint16(size))
		if a.in.transport == UDP {
			return msg, dropNone // the padding is for streams
		}
		return pad(buf, headroom-channelHeader, end), dropNone
	}
	attr := 8
	if peer.Addr().Is6() {
		attr = 20
	}
	start := headroom - stunHeader - 4 - attr - 4
	h := appendHeader(buf[start:start:end], classIndication, methodData, a.txid)
	h = binary.BigEndian.AppendUint16(h, attrXORPeerAddress)
	h = binary.BigEndian.AppendUint16(h, uint16(attr))
	h = h[:len(h)+attr]
	putXORAddress(h[len(h)-attr:], peer, a.txid)
	h = binary.BigEndian.AppendUint16(h, attrData)
	binary.BigEndian.AppendUint16(h, uint16(size))
	msg := pad(buf, start, end)
	binary.BigEndian.PutUint16(msg[2:], uint16(len(msg)-stunHeader))
	return msg, dropNone
}

// pad returns buf[start:end] with zero bytes added up to a multiple of four.
func pad(buf []byte, start, end int) []byte {
	for (end-start)%4 != 0 {
		buf[end] = 0
		end++
	}
	return buf[start:end]
}

// deliver sends messages that carry the given payload bytes to the client.
func (a *allocation) deliver(msgs [][]byte, bytes int64, first bool) {
	if len(msgs) == 0 {
		return
	}
	sent, err := a.in.client.toClient(a.client, msgs)
	if sent < len(msgs) {
		bytes = bytes * int64(sent) / int64(len(msgs))
	}
	if err != nil && !errors.Is(err, net.ErrClosed) {
		a.s.log.Debug("cannot relay to a client", a.s.errorField(err))
	}
	a.countDown(sent, bytes, first)
}

// receive hands datagrams to this allocation that another allocation of this server has
// sent to its relayed address.
func (a *allocation) receive(from netip.AddrPort, payloads [][]byte) {
	b := batches.Get().(*batch)
	defer batches.Put(b)
	for len(payloads) > 0 {
		n := min(len(payloads), len(b.room))
		b.packets = b.room[:n]
		for i, payload := range payloads[:n] {
			p := &b.packets[i]
			p.size, p.from, p.oversize = copy(p.buf[headroom:], payload), from, false
		}
		a.pass(b, false)
		payloads = payloads[n:]
	}
}

// begin relays from peers until the allocation ends, which it does after so many
// seconds unless it is extended.
func (a *allocation) begin(seconds uint32) {
	a.expiry = time.AfterFunc(time.Duration(seconds)*time.Second, a.end)
	go func() {
		defer a.s.wg.Done()
		_ = a.sock.receive(nil, a.down)
		a.end() // where it was the socket that ended
	}()
}

// extend has the allocation last for so many seconds from now.
func (a *allocation) extend(seconds uint32) {
	a.expiry.Reset(time.Duration(seconds) * time.Second)
}

// toward returns the allocation that peers like peer are reached through: of two, the
// one of its family.
func (a *allocation) toward(peer netip.Addr) *allocation {
	if second := a.second.Load(); second != nil && second.addr.Addr().Is4() == peer.Unmap().Is4() {
		return second
	}
	return a
}

// end ends the allocation.
func (a *allocation) end() {
	a.endOnce.Do(func() {
		a.expiry.Stop()
		_ = a.sock.Close()
		a.in.remove(a)
		a.s.relays.remove(a)
		a.s.users.release(a.user, 1)
		a.s.counters.live[a.in.transport].Add(-1)
		a.audit()
	})
}

// audit writes the log line of an allocation that has ended.
func (a *allocation) audit() {
	p := a.s.policy.Load()
	level := zap.DebugLevel
	if p.Audit {
		level = zap.InfoLevel
	}
	entry := a.s.log.Check(level, "allocation ended")
	if entry == nil {
		return
	}
	i := a.info()
	fields := []zap.Field{zap.String("user", i.User), zap.String("transport", i.Transport), zap.String("listener", i.Listener),
		zap.Uint16("relayed_port", i.Relayed.Port()), zap.Int64("up_bytes", i.Up), zap.Int64("down_bytes", i.Down),
		zap.Duration("duration", time.Since(a.made))}
	if p.LogAddresses {
		fields = append(fields, zap.Stringer("client", i.Client))
	}
	entry.Write(fields...)
}

// AllocationInfo is what an operator may know of a live allocation.
type AllocationInfo struct {
	User      string
	Transport string         // udp, tcp or tls
	Listener  string         // as in Stats.Listeners
	Client    netip.AddrPort // the client's transport address
	Relayed   netip.AddrPort // the relayed transport address, which names the allocation
	Made      time.Time
	Up, Down  int64 // payload bytes
}

func (a *allocation) info() AllocationInfo {
	return AllocationInfo{
		User: a.user.name, Transport: a.in.transport.String(), Listener: a.in.listener, Client: a.client.addr,
		Relayed: a.addr, Made: a.made, Up: a.flow.upBytes.Load(), Down: a.flow.downBytes.Load(),
	}
}

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
