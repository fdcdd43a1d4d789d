package turnserver

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"
)

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
	st := &streamIntake{conn: conn, peer: client, active: time.Now()}
	st.intake = intake{s: s, desk: s.deskFor(), transport: TCP, client: st, local: conn.LocalAddr(), listener: listener}
	if _, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		st.transport = TLS
	}
	st.out = outbox{conn: conn, records: st.transport == TLS, limit: s.timeouts.write, writers: &s.writers,
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
	go st.read(own)
}

// streamIntake takes one client in over one TCP or TLS connection. When the
// connection ends, the allocation does.
type streamIntake struct {
	intake
	conn net.Conn
	out  outbox
	peer netip.AddrPort

	part      *[]byte   // the beginning of a frame, or nil
	skip      int       // bytes of an oversized frame still to be passed over
	spoke     bool      // a message has come
	active    time.Time // when the last message came, or the connection
	readUntil time.Time // the read deadline that is set
}

// parts are for the beginnings of frames.
var parts = sync.Pool{New: func() any { b := make([]byte, 0, maxDatagram); return &b }}

// got works on bytes that have come, which must stay as they are until the up queue is
// flushed. It returns false where the stream is neither STUN nor ChannelData.
func (st *streamIntake) got(b []byte) bool {
	for len(b) > 0 {
		n := min(st.skip, len(b))
		st.skip -= n
		b = b[n:]
		if st.part != nil {
			if b = st.complete(b); b == nil {
				return false
			}
			continue
		}
		switch size, ok := st.sizeOf(b); {
		case !ok:
			return false
		case size > maxDatagram:
			st.skip = size
		case size > len(b):
			st.part = parts.Get().(*[]byte)
			*st.part = append(*st.part, b...)
			return true
		default:
			st.frame(b[:size])
			b = b[size:]
		}
	}
	return true
}

// complete adds to the frame that has begun what b has of it, and returns the rest of b,
// or nil where that is neither STUN nor ChannelData.
func (st *streamIntake) complete(b []byte) []byte {
	part := st.part
	for {
		size, ok := st.sizeOf(*part)
		switch {
		case !ok:
			return nil
		case size > maxDatagram:
			st.skip = size - len(*part)
		case size == len(*part):
			st.frame(*part)
			st.up.flush()
		case len(b) == 0:
			return b
		default:
			n := min(size-len(*part), len(b))
			*part = append(*part, b[:n]...)
			b = b[n:]
			continue
		}
		st.part = nil
		*part = (*part)[:0]
		parts.Put(part)
		return b
	}
}

// sizeOf returns how long the frame is that begins with b, or how much it takes to tell.
func (st *streamIntake) sizeOf(b []byte) (size int, ok bool) {
	if len(b) == 0 {
		return 0, true
	}
	if len(b) < channelHeader {
		return channelHeader, true
	}
	size, ok = frameSize(b)
	if !ok {
		st.s.counters.drop(DropForeign)
	} else if size > maxDatagram {
		st.s.counters.drop(DropOversize)
	}
	return size, ok
}

// frame works on a whole frame.
func (st *streamIntake) frame(b []byte) {
	st.spoke, st.active = true, time.Now()
	st.take(b, tuple{addr: st.peer}, st.s.now())
}

// expect sets the read deadline. A connection without an allocation must keep saying
// something; one with an allocation may be silent for as long as that lasts.
func (st *streamIntake) expect() {
	limit := st.s.timeouts.idle
	if !st.spoke {
		limit = st.s.timeouts.first
	} else if st.count() > 0 {
		st.active = time.Now()
	}
	until := st.active.Add(limit)
	if d := until.Sub(st.readUntil); d < 0 || d > limit/2 { // not for every read
		st.readUntil = until
		_ = st.conn.SetReadDeadline(until)
	}
}

// silent reports whether an error of reading says no more than that nothing has come,
// and the client may be silent.
func (st *streamIntake) silent(err error) bool {
	until := st.readUntil
	st.readUntil = time.Time{}
	return errors.Is(err, os.ErrDeadlineExceeded) && (st.count() > 0 || time.Now().Before(until))
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
