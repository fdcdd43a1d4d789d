package turnserver

import (
	"errors"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// headroom is kept free before each received datagram, so that the header of a
	// Data indication (20 + 24 + 4 bytes for an IPv6 peer) can be put there without
	// moving the datagram.
	headroom = 48
	// maxDatagram is the largest datagram that is relayed: well over an Ethernet
	// frame, as no path carries more unfragmented.
	maxDatagram = 2048
	bufferSize  = headroom + maxDatagram + 4

	socketBuffer = 4 << 20
)

// packetSocket is a UDP socket that reads and writes in batches.
type packetSocket interface {
	// receive calls f with every batch that comes in, until f returns false (then
	// it returns nil) or the socket is closed (then it returns net.ErrClosed). It
	// reads into b, or into a batch of its own where b is nil.
	receive(b *batch, f func(*batch) bool) error

	// send sends each of msgs to addr as a datagram of its own, in order. All but
	// the last have the same length and the last is not longer. They leave from the
	// local address from where that is valid and the socket is bound to none. It
	// never waits, and returns how many were sent.
	send(from netip.Addr, addr netip.AddrPort, msgs [][]byte) (int, error)

	LocalAddr() net.Addr
	Close() error
}

// packet is one received datagram.
type packet struct {
	buf      []byte // bufferSize long; the datagram begins at headroom
	size     int
	from     netip.AddrPort
	to       netip.Addr // where it was sent to, known on a socket that is bound to no address
	oversize bool
}

func (p *packet) data() []byte { return p.buf[headroom : headroom+p.size] }

// batch is a number of datagrams that were received together, with the room that
// working on them takes.
type batch struct {
	packets []packet // those received
	room    []packet // all there is room for
	out     [][]byte
	sys     batchSys
}

const (
	// maxFailures is how many times in a row a socket may fail before it counts as gone.
	maxFailures = 100

	intakeBatch = 64
	relayBatch  = 32
)

func newBatch(n int) *batch {
	b := &batch{room: make([]packet, n), out: make([][]byte, 0, n)}
	buf := make([]byte, n*bufferSize)
	for i := range b.room {
		b.room[i].buf = buf[i*bufferSize : (i+1)*bufferSize : (i+1)*bufferSize]
	}
	b.sys.init(b.room)
	return b
}

var batches = sync.Pool{New: func() any { return newBatch(relayBatch) }}

// plainSocket is a packetSocket over any net.PacketConn, a datagram at a time.
type plainSocket struct {
	net.PacketConn
	closed atomic.Bool
}

func (s *plainSocket) Close() error {
	s.closed.Store(true)
	return s.PacketConn.Close()
}

func (s *plainSocket) receive(b *batch, f func(*batch) bool) error {
	if b == nil {
		b = newBatch(1)
	}
	for {
		p := &b.room[0]
		n, from, err := s.ReadFrom(p.buf[headroom:])
		switch {
		case err == nil:
		case s.closed.Load(), errors.Is(err, net.ErrClosed), errors.Is(err, io.ErrClosedPipe):
			return net.ErrClosed
		case n == 0:
			// What a socket reports of earlier sends, however often, is not its end.
			time.Sleep(time.Millisecond)
			continue
		}
		// Windows reports a datagram that is too large for the buffer as an error.
		p.from, p.oversize = addrPortOf(from), err != nil || n > maxDatagram
		p.size = min(n, maxDatagram)
		b.packets = b.room[:1]
		if !f(b) {
			return nil
		}
	}
}

func (s *plainSocket) send(_ netip.Addr, addr netip.AddrPort, msgs [][]byte) (int, error) {
	to := net.UDPAddrFromAddrPort(addr)
	for i, msg := range msgs {
		if _, err := s.WriteTo(msg, to); err != nil {
			return i, err
		}
	}
	return len(msgs), nil
}

// addrPortOf reads a UDP or TCP address; it is invalid where addr is neither.
func addrPortOf(addr net.Addr) netip.AddrPort {
	var ap netip.AddrPort
	switch a := addr.(type) {
	case *net.UDPAddr:
		ap = a.AddrPort()
	case *net.TCPAddr:
		ap = a.AddrPort()
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
