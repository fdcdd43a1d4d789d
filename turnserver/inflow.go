package turnserver

import (
	"errors"
	"net"
	"os"
	"sync"
	"time"
)

// chunkSize is how much of a stream is read at once.
const chunkSize = 32 << 10

// receiver is a connection that holds no buffer while there is nothing to read.
type receiver interface {
	// receive calls got with what comes in, until got returns false (then it returns
	// nil), the connection ends, or its read deadline passes.
	receive(got func([]byte) bool) error
}

// overBlocking makes a receiver of any connection. It holds a small buffer.
type overBlocking struct{ net.Conn }

func (c overBlocking) receive(got func([]byte) bool) error {
	b := make([]byte, maxDatagram)
	for {
		n, err := c.Read(b)
		if n > 0 && !got(b[:n]) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// waiter waits until there is something to read, or the read deadline has passed.
type waiter interface{ wait() error }

// overForeign makes a receiver of a connection that others have wrapped, whose buffers
// are not known. It waits for the socket below.
type overForeign struct {
	st     *streamIntake
	socket waiter
	begun  bool
}

var longAgo = time.Unix(1, 0)

// receive works on what one wait has brought. How much the connection itself holds is
// found out by reading with a deadline that has passed, which does not reach the socket;
// so receive returns as at a deadline.
func (c *overForeign) receive(func([]byte) bool) error {
	stop := func() { _ = c.st.conn.SetReadDeadline(longAgo) }
	if !c.begun {
		c.begun = true
		stop()
	} else if err := c.socket.wait(); err != nil {
		return err
	}
	if !c.st.drain(stop) {
		return nil
	}
	return os.ErrDeadlineExceeded
}

// read reads the connection to its end. own is what stands below its TLS, where that is
// this package's.
func (st *streamIntake) read(own *corkConn) {
	defer st.end()
	st.expect()
	if tc, ok := st.conn.(interface{ Handshake() error }); ok && tc.Handshake() != nil {
		return
	}
	below, work := st.conn, st.got
	if own != nil {
		below = own.Conn
	}
	from, ok := below.(receiver)
	switch {
	case !ok:
		from = overBlocking{st.conn}
		if socket := waiterOf(st.conn); socket != nil {
			from = &overForeign{st: st, socket: socket}
		}
	case own != nil:
		work = func(b []byte) bool {
			own.fed = b
			return st.drain(nil)
		}
		own.feeding = true
		if !st.drain(nil) { // what came with the handshake
			return
		}
	}
	st.expect()
	for {
		err := from.receive(func(b []byte) bool {
			ok := work(b)
			st.up.flush()
			st.expect()
			return ok
		})
		if !st.silent(err) {
			return
		}
		st.expect()
	}
}

var plains = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// drain reads the connection until its deadline has passed, or none of what it was fed is
// left. stop is called after the first read.
func (st *streamIntake) drain(stop func()) bool {
	plain := plains.Get().(*[chunkSize]byte)
	defer plains.Put(plain)
	defer st.up.flush()
	at := 0
	for {
		if len(plain)-at < maxDatagram {
			st.up.flush()
			at = 0
		}
		n, err := st.conn.Read(plain[at:])
		if n > 0 && !st.got(plain[at:at+n]) {
			return false
		}
		at += n
		if err != nil {
			return errors.Is(err, os.ErrDeadlineExceeded)
		}
		if stop != nil {
			stop()
			stop = nil
		}
	}
}
