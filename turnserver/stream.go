package turnserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"go.uber.org/zap"
)

// timeouts bound how long a client may take to do what it should.
type timeouts struct {
	handshake time.Duration // of TLS
	first     time.Duration // for the first message to come
	idle      time.Duration // between messages, without an allocation
	write     time.Duration // for a client to take what is sent to it

	reservation time.Duration // for a reserved port to be allocated
}

var defaultTimeouts = timeouts{
	handshake: 10 * time.Second,
	first:     10 * time.Second,
	idle:      60 * time.Second,
	write:     10 * time.Second,

	reservation: reservationLifetime,
}

const (
	maxHandshakes          = 1024 // at once on one TLS listener
	maxHandshakesPerSource = 128
	streamBuffer           = 8 << 10
)

// ListenTCP serves STUN and TURN on a TCP address, "host:port", and returns the
// address that was bound.
func (s *Server) ListenTCP(addr string) (net.Addr, error) { return s.listenStream("tcp", addr, nil) }

// ListenTLS serves STUN and TURN over TLS on a TCP address, "host:port", and returns
// the address that was bound. config is called for every connection, so that renewed
// certificates are used at once; a config with NextProtos should list "stun.turn"
// (RFC 7443).
func (s *Server) ListenTLS(addr string, config func() *tls.Config) (net.Addr, error) {
	if config == nil {
		return nil, errors.New("cannot listen for TURN over TLS without a TLS config: give one")
	}
	return s.listenStream("tls", addr, config)
}

func (s *Server) listenStream(name, addr string, config func() *tls.Config) (net.Addr, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for TURN on %s/%s: %w", name, addr, err)
	}
	if err := s.adopt(ln); err != nil {
		_ = ln.Close()
		return nil, err
	}
	go func() {
		defer s.wg.Done()
		defer s.forget(ln)
		s.accept(ln, config)
	}()
	s.log.Info("TURN listens", s.addressField(name, ln.Addr()))
	return ln.Addr(), nil
}

// accept takes connections from ln until it is closed.
func (s *Server) accept(ln net.Listener, config func() *tls.Config) {
	handshakes := connLimit{bySource: map[netip.Addr]int{}, max: maxHandshakes, perSource: maxHandshakesPerSource}
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors, most likely: let some be closed.
			s.complain("cannot accept a TURN connection", err)
			select {
			case <-s.done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		if config == nil {
			s.ServeConn(conn)
			continue
		}
		source := addrPortOf(conn.RemoteAddr()).Addr()
		if !handshakes.acquire(source) {
			s.counters.drop(DropConnLimit)
			_ = conn.Close()
			continue
		}
		if s.adopt(conn) != nil {
			_ = conn.Close()
			return
		}
		go func() {
			defer s.wg.Done()
			cork := &corkConn{Conn: conn}
			tc := tls.Server(cork, config())
			_ = tc.SetDeadline(time.Now().Add(s.timeouts.handshake))
			err := tc.Handshake()
			_ = tc.SetDeadline(time.Time{})
			s.forget(conn)
			handshakes.release(source)
			if err != nil {
				s.counters.drop(DropHandshake)
				_ = conn.Close()
				return
			}
			s.serveConn(tc, cork)
		}()
	}
}

// ServeConn serves STUN and TURN on a connection that was accepted elsewhere, such as
// one that shares port 443 with HTTPS. It takes the connection over, returns at once,
// and closes it when the client is gone, idle or in error, when a limit is exceeded,
// or when the server is closed. The connection's remote address must be a TCP
// address. A connection with a ConnectionState method counts as TLS.
func (s *Server) ServeConn(conn net.Conn) { s.serveConn(conn, nil) }

func (s *Server) serveConn(conn net.Conn, cork *corkConn) {
	client := addrPortOf(conn.RemoteAddr())
	if !client.IsValid() || !s.conns.acquire(client.Addr()) {
		s.counters.drop(DropConnLimit)
		_ = conn.Close()
		return
	}
	st := &streamIntake{conn: conn, cork: cork, peer: client, buf: make([]byte, streamBuffer), active: time.Now()}
	st.intake = intake{s: s, transport: TCP, client: st, local: conn.LocalAddr(), allocs: map[netip.AddrPort]*allocation{}}
	if _, ok := conn.(interface{ ConnectionState() tls.ConnectionState }); ok {
		st.transport = TLS
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
	cork *corkConn // below conn where conn is a TLS connection of the server's own making
	peer netip.AddrPort

	buf       []byte
	r, w      int       // buf[r:w] is read and not yet worked on
	skip      int       // bytes of an oversized frame still to be passed over
	spoke     bool      // a message has come
	active    time.Time // when the last message came, or the connection
	readUntil time.Time // the read deadline that is set

	wmu        sync.Mutex
	writeUntil time.Time // the write deadline that is set
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
			if st.take(frame, st.peer, st.s.now()) {
				st.up.flush()
				return copy(p, frame), net.TCPAddrFromAddrPort(st.peer), nil
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

// toClient writes messages to the connection, in one piece where it can. Over TLS every
// message is a record of its own, as coturn's client takes a record for a message.
func (st *streamIntake) toClient(_ netip.AddrPort, msgs [][]byte) (int, error) {
	st.wmu.Lock()
	defer st.wmu.Unlock()
	if now, limit := time.Now(), st.s.timeouts.write; st.writeUntil.Before(now.Add(limit)) {
		st.writeUntil = now.Add(2 * limit)
		_ = st.conn.SetWriteDeadline(st.writeUntil)
	}
	if err := st.write(msgs); err != nil {
		_ = st.conn.Close() // what was half sent cannot be mended
		return 0, err
	}
	return len(msgs), nil
}

func (st *streamIntake) write(msgs [][]byte) error {
	if len(msgs) == 1 {
		_, err := st.conn.Write(msgs[0])
		return err
	}
	if st.transport == TCP {
		b := pieces.Get().(*[]byte)
		defer pieces.Put(b)
		*b = (*b)[:0]
		for _, m := range msgs {
			*b = append(*b, m...)
		}
		_, err := st.conn.Write(*b)
		return err
	}
	if st.cork != nil {
		st.cork.hold()
	}
	var err error
	for _, m := range msgs {
		if _, err = st.conn.Write(m); err != nil {
			break
		}
	}
	if st.cork != nil {
		err = errors.Join(err, st.cork.release())
	}
	return err
}

// pieces are buffers to put messages together in.
var pieces = sync.Pool{New: func() any { return new([]byte) }}

// corkConn is the connection below a TLS connection. It can hold back what is written
// so that several records leave in one call.
type corkConn struct {
	net.Conn
	mu   sync.Mutex
	held *[]byte // nil while nothing is held back
}

func (c *corkConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.held == nil {
		return c.Conn.Write(b)
	}
	*c.held = append(*c.held, b...)
	return len(b), nil
}

func (c *corkConn) hold() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.held = pieces.Get().(*[]byte)
	*c.held = (*c.held)[:0]
}

func (c *corkConn) release() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	defer pieces.Put(c.held)
	b := *c.held
	c.held = nil
	_, err := c.Conn.Write(b)
	return err
}

// end gives back what the connection holds, the allocation first: saying goodbye may
// take seconds where the client is stuck.
func (st *streamIntake) end() {
	if a := st.lookup(st.peer); a != nil {
		a.end()
	}
	_ = st.conn.Close()
	st.s.forget(st.conn)
	st.s.conns.release(st.peer.Addr())
	st.s.counters.conns[st.transport].Add(-1)
	st.s.wg.Done()
}

// Close is called by nobody but completes the net.PacketConn.
func (st *streamIntake) Close() error { return st.conn.Close() }

// connLimit counts open connections, in all and by source.
type connLimit struct {
	mu             sync.Mutex
	all            int
	bySource       map[netip.Addr]int
	max, perSource int
}

func (l *connLimit) acquire(addr netip.Addr) bool {
	key := sourceKey(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.all >= l.max || l.bySource[key] >= l.perSource {
		return false
	}
	l.all++
	l.bySource[key]++
	return true
}

func (l *connLimit) release(addr netip.Addr) {
	key := sourceKey(addr)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all--
	if l.bySource[key]--; l.bySource[key] == 0 {
		delete(l.bySource, key)
	}
}
