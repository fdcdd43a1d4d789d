package turnserver

import (
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"sync"

	"golang.org/x/net/ipv4"
)

// sharedQueue is how many datagrams wait for TURN on a shared socket.
const sharedQueue = 256

// sharePacketConn serves STUN and TURN on a socket; see Server.SharePacketConn.
func sharePacketConn(s *core, conn net.PacketConn) (net.PacketConn, error) {
	sock := &sharedSocket{out: &plainSocket{PacketConn: conn}, queue: make(chan packet, sharedQueue), done: make(chan struct{})}
	udp, isUDP := conn.(*net.UDPConn)
	if isUDP {
		var err error
		if sock.out, err = overSystem(udp); err != nil {
			return nil, err
		}
	}
	u := &udpIntake{sock: sock, batch: newBatch(1)}
	u.intake = intake{s: s, transport: UDP, client: u, local: conn.LocalAddr(), listener: sharedListener(conn.LocalAddr()),
		allocs: map[tuple]*allocation{}}
	u.door.closed.Store(true) // its end is no failure
	if err := s.adopt(sock); err != nil {
		return nil, err
	}
	if err := u.serve(); err != nil {
		return nil, err
	}
	shared := &sharedConn{conn, sock, &u.intake}
	if isUDP {
		return &sharedUDPConn{udp, shared, ipv4.NewPacketConn(udp)}, nil
	}
	return shared, nil
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
		if err != nil {
			return n, from, c.failed(err)
		}
		if at := (tuple{addr: addrPortOf(from)}); !c.take(b[:n], at) {
			return n, from, nil
		}
	}
}

// failed ends TURN where the socket was closed below.
func (c *sharedConn) failed(err error) error {
	if errors.Is(err, net.ErrClosed) {
		_ = c.turn.Close()
	}
	return err
}

// take passes a datagram on to TURN, unless it is QUIC's.
func (c *sharedConn) take(b []byte, from tuple) bool {
	if !c.forTURN(b, from) {
		return false
	}
	c.turn.put(b, from)
	return true
}

// forTURN tells datagrams apart by their first byte: RFC 9443, section 2. From 64 to 79
// it may be ChannelData or QUIC with a short header, and who has an allocation here
// decides: a browser makes that from a socket of its own.
func (c *sharedConn) forTURN(b []byte, from tuple) bool {
	switch {
	case len(b) >= stunHeader && b[0] < 4:
		return binary.BigEndian.Uint32(b[4:]) == magicCookie
	case len(b) >= channelHeader && b[0] >= 64 && b[0] < 80:
		return c.in.lookup(from) != nil
	}
	return false
}

// Close closes the socket, for TURN too.
func (c *sharedConn) Close() error {
	_ = c.turn.Close()
	return c.PacketConn.Close()
}

// sharedUDPConn is a sharedConn whose socket a QUIC server uses with its control messages
// and batches: it keeps congestion notification, segmentation and answers from the
// address that was asked.
type sharedUDPConn struct {
	*net.UDPConn
	shared *sharedConn
	batch  *ipv4.PacketConn
}

// ReadFrom returns the next datagram that is QUIC's.
func (c *sharedUDPConn) ReadFrom(b []byte) (int, net.Addr, error) { return c.shared.ReadFrom(b) }

// Close closes the socket, for TURN too.
func (c *sharedUDPConn) Close() error { return c.shared.Close() }

// ReadBatch returns the next datagrams that are QUIC's, in the first of ms.
func (c *sharedUDPConn) ReadBatch(ms []ipv4.Message, flags int) (int, error) {
	for {
		n, err := c.batch.ReadBatch(ms, flags)
		if err != nil {
			return n, c.shared.failed(err)
		}
		kept := 0
		for i := range ms[:n] {
			m, to := &ms[i], &ms[kept]
			data := m.Buffers[0][:m.N]
			if c.shared.take(data, tuple{addrPortOf(m.Addr), localOf(m.OOB[:m.NN])}) {
				continue
			}
			if kept++; m != to { // the buffers stay where the caller knows them
				to.N, to.NN, to.Flags, to.Addr = copy(to.Buffers[0], data), copy(to.OOB, m.OOB[:m.NN]), m.Flags, m.Addr
			}
		}
		if kept > 0 {
			return kept, nil
		}
	}
}

// sharedSocket is the part of a shared socket that is for TURN.
type sharedSocket struct {
	out   packetSocket // it is only sent to
	queue chan packet
	done  chan struct{}
	end   sync.Once
}

var sharedBuffers = sync.Pool{New: func() any { b := make([]byte, maxDatagram); return &b }}

// put queues a datagram, or drops it where there is no room.
func (s *sharedSocket) put(b []byte, from tuple) {
	buf := sharedBuffers.Get().(*[]byte)
	p := packet{buf: *buf, size: copy(*buf, b), from: from.addr, to: from.local, oversize: len(b) > maxDatagram}
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
		case p := <-s.queue:
			to := &b.room[0]
			to.size, to.from, to.to, to.oversize = copy(to.buf[headroom:], p.buf[:p.size]), p.from, p.to, p.oversize
			sharedBuffers.Put(&p.buf)
			b.packets = b.room[:1]
			if !f(b) {
				return nil
			}
		}
	}
}

func (s *sharedSocket) send(from netip.Addr, addr netip.AddrPort, msgs [][]byte) (int, error) {
	return s.out.send(from, addr, msgs)
}

func (s *sharedSocket) LocalAddr() net.Addr { return s.out.LocalAddr() }

// Close ends TURN on the socket, which goes on for QUIC.
func (s *sharedSocket) Close() error {
	s.end.Do(func() { close(s.done) })
	return nil
}
