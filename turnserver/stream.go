package turnserver

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"go.uber.org/zap"
)

const streamBuffer = 8 << 10

// serveConn serves a connection; see Server.ServeConn.
func serveConn(s *core, conn net.Conn, listener string, own *corkConn) {
	client := addrPortOf(conn.RemoteAddr())
	if !client.IsValid() {
		// A proxy that speaks for itself, or for a client without an IP address.
		client = addrPortOf(Underlying(conn).RemoteAddr())
	}
	p := s.policy.Load()
	if !client.IsValid() || !s.conns.acquire(client.Addr(), p.MaxConns, p.MaxConnsPerSource) {
		s.counters.drop(DropConnLimit)
		_ = conn.Close()
		return
	}
	limitUnsent(conn)
	st := &streamIntake{conn: conn, peer: client, buf: make([]byte, streamBuffer), active: time.Now()}
	st.intake = intake{s: s, transport: TCP, client: st, local: conn.LocalAddr(), listener: listener, allocs: map[tuple]*allocation{}}
	if _, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		st.transport = TLS
	}
	st.out = outbox{conn: conn, records: st.transport == TLS, limit: s.timeouts.write,
		dropped: func(n int) { s.counters.drops[DropSlow].Add(int64(n)) }}
	if below, ok := conn.(interface{ NetConn() net.Conn }); ok && own == nil {
		own, _ = below.NetConn().(*corkConn) // somebody else's TLS over BelowTLS
	}
	if own != nil {
		st.out.cork = own
	} else if st.transport == TLS {
		st.out.cork = corkOf(conn)
	}
	if err := s.adopt(conn); err != nil {
		s.conns.release(client.Addr())
		_ = conn.Close()
		return
	}
	s.counters.conns[st.transport].Add(1)
	if err := st.serve(st); err != nil {
		s.log.Error("cannot serve a TURN connection", zap.Error(err))
		st.end()
	}
}

// streamIntake takes one client in over one TCP or TLS connection. When the
// connection ends, pion's reading loop does, and with it the allocation.
type streamIntake struct {
	intake
	conn net.Conn
	out  outbox
	peer netip.AddrPort

	buf       []byte
	r, w      int       // buf[r:w] is read and not yet worked on
	skip      int       // bytes of an oversized frame still to be passed over
	spoke     bool      // a message has come
	active    time.Time // when the last message came, or the connection
	readUntil time.Time // the read deadline that is set
}

// ReadFrom gives pion the next request. Everything else that comes in is worked on
// here, in pion's reading goroutine.
func (st *streamIntake) ReadFrom(p []byte) (int, net.Addr, error) {
	st.settle()
	for {
		frame, ok := st.frame()
		if !ok {
			st.up.flush()
			st.end()
			return 0, nil, net.ErrClosed
		}
		if frame != nil {
			st.spoke, st.active = true, time.Now()
			if st.take(frame, tuple{addr: st.peer}, st.s.now()) {
				st.up.flush()
				return st.forPion(p), net.TCPAddrFromAddrPort(st.peer), nil
			}
			continue
		}
		st.up.flush()
		if err := st.fill(); err != nil {
			st.end()
			return 0, nil, net.ErrClosed
		}
	}
}

// frame takes the next whole frame from the buffer; nil if there is none. ok is
// false where the stream is neither STUN nor ChannelData.
func (st *streamIntake) frame() (frame []byte, ok bool) {
	if n := min(st.skip, st.w-st.r); n > 0 {
		st.r += n
		st.skip -= n
	}
	b := st.buf[st.r:st.w]
	if len(b) < 4 {
		return nil, true
	}
	size, ok := frameSize(b)
	if !ok {
		st.s.counters.drop(DropForeign)
		return nil, false
	}
	if size > maxDatagram {
		st.s.counters.drop(DropOversize)
		st.skip = size
		return st.frame()
	}
	if len(b) < size {
		return nil, true
	}
	st.r += size
	return b[:size], true
}

// fill reads more of the stream. A connection without an allocation must keep saying
// something; one with an allocation may be silent for as long as that lasts.
func (st *streamIntake) fill() error {
	if st.r > 0 {
		st.w = copy(st.buf, st.buf[st.r:st.w])
		st.r = 0
	}
	for {
		now := time.Now()
		limit := st.s.timeouts.idle
		if !st.spoke {
			limit = st.s.timeouts.first
		} else if st.count() > 0 {
			st.active = now
		}
		until := st.active.Add(limit)
		if d := until.Sub(st.readUntil); d < 0 || d > limit/2 { // not for every read
			st.readUntil = until
			_ = st.conn.SetReadDeadline(until)
		}
		n, err := st.conn.Read(st.buf[st.w:])
		if n > 0 {
			st.w += n
			return nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) && (st.count() > 0 || time.Now().Before(until)) {
			st.readUntil = time.Time{}
			continue
		}
		if err != nil {
			return err
		}
	}
}

// toClient queues datagrams for the client.
func (st *streamIntake) toClient(_ tuple, msgs [][]byte) (int, error) {
	taken, err := st.out.send(msgs)
	st.s.counters.drops[DropSlow].Add(int64(len(msgs) - taken))
	return taken, err
}

// answer queues an answer to a request.
func (st *streamIntake) answer(_ tuple, b []byte) error { return st.out.answer(b) }

// end gives back what the connection holds, the allocation first: saying goodbye may
// take seconds where the client is stuck.
func (st *streamIntake) end() {
	st.endAll()
	st.out.close()
	_ = st.conn.Close()
	st.out.wait()
	st.s.forget(st.conn)
	st.s.conns.release(st.peer.Addr())
	st.s.counters.conns[st.transport].Add(-1)
	st.s.wg.Done()
}

// Close is called by nobody but completes the net.PacketConn.
func (st *streamIntake) Close() error { return st.conn.Close() }
