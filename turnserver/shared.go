package turnserver

import (
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
)

// sharedQueue is how many datagrams wait for TURN on a shared socket.
const sharedQueue = 256

// sharePacketConn serves STUN and TURN on a socket; see Server.SharePacketConn.
func sharePacketConn(s *core, conn net.PacketConn) (net.PacketConn, error) {
	sock := &sharedSocket{conn: conn, queue: make(chan packet, sharedQueue), done: make(chan struct{})}
	u := &udpIntake{sock: sock, batch: newBatch(1)}
	u.intake = intake{s: s, transport: UDP, client: u, local: conn.LocalAddr(), listener: sharedListener(conn.LocalAddr()),
		allocs: map[tuple]*allocation{}}
	u.door.closed.Store(true) // its end is no failure
	if err := s.adopt(sock); err != nil {
		return nil, err
	}
	if err := u.serve(u); err != nil {
		s.wg.Done()
		s.forget(sock)
		return nil, err
	}
	return &sharedConn{conn, sock, &u.intake}, nil
}

// sharedConn is what a QUIC server has in place of its socket. It passes on to TURN what
// is not for QUIC.
type sharedConn struct {
	net.PacketConn
	turn *sharedSocket
	in   *intake
}

// ReadFrom returns the next datagram that is QUIC's.
func (c *sharedConn) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := c.PacketConn.ReadFrom(b)
		if err != nil || !c.forTURN(b[:n], from) {
			return n, from, err
		}
		c.turn.put(b[:n], addrPortOf(from))
	}
}

// forTURN tells datagrams apart by their first byte: RFC 9443, section 2. From 64 to 79
// it may be ChannelData or QUIC with a short header, and who has an allocation here
// decides: a browser makes that from a socket of its own.
func (c *sharedConn) forTURN(b []byte, from net.Addr) bool {
	switch {
	case len(b) >= stunHeader && b[0] < 4:
		return binary.BigEndian.Uint32(b[4:]) == magicCookie
	case len(b) >= channelHeader && b[0] >= 64 && b[0] < 80:
		return c.in.lookup(tuple{addr: addrPortOf(from)}) != nil
	}
	return false
}

// Close closes the socket, for TURN too.
func (c *sharedConn) Close() error {
	_ = c.turn.Close()
	return c.PacketConn.Close()
}

// sharedSocket is the part of a shared socket that is for TURN.
type sharedSocket struct {
	conn  net.PacketConn
	queue chan packet
	done  chan struct{}
	end   sync.Once
}

var sharedBuffers = sync.Pool{New: func() any { b := make([]byte, maxDatagram); return &b }}

// put queues a datagram, or drops it where there is no room.
func (s *sharedSocket) put(b []byte, from netip.AddrPort) {
	buf := sharedBuffers.Get().(*[]byte)
	p := packet{buf: *buf, size: copy(*buf, b), from: from, oversize: len(b) > maxDatagram}
	select {
	case s.queue <- p:
	default:
		sharedBuffers.Put(buf)
	}
}

func (s *sharedSocket) receive(b *batch, f func(*batch) bool) error {
	for {
		select {
		case <-s.done:
			return net.ErrClosed
		case from := <-s.queue:
			to := &b.room[0]
			to.size, to.from, to.oversize = copy(to.buf[headroom:], from.buf[:from.size]), from.from, from.oversize
			sharedBuffers.Put(&from.buf)
			b.packets = b.room[:1]
			if !f(b) {
				return nil
			}
		}
	}
}

func (s *sharedSocket) send(_ netip.Addr, addr netip.AddrPort, msgs [][]byte) (int, error) {
	return (&plainSocket{PacketConn: s.conn}).send(netip.Addr{}, addr, msgs)
}

func (s *sharedSocket) LocalAddr() net.Addr { return s.conn.LocalAddr() }

// Close ends TURN on the socket, which goes on for QUIC.
func (s *sharedSocket) Close() error {
	s.end.Do(func() { close(s.done) })
	return nil
}
