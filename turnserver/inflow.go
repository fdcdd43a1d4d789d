package turnserver

import (
	"errors"
	"net"
	"os"
	"sync"
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

// read reads the connection to its end. own is what stands below its TLS, where that is
// this package's.
func (st *streamIntake) read(own *corkConn) {
	defer st.end()
	below, work := st.conn, st.got
	if own != nil {
		below = own.Conn
	}
	from, ok := below.(receiver)
	switch {
	case !ok:
		from = overBlocking{st.conn}
	case own != nil:
		work = func(b []byte) bool {
			own.fed = b
			return st.decrypt()
		}
		own.feeding = true
		if !st.decrypt() { // what came with the handshake
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

// decrypt works on what there is in TLS.
func (st *streamIntake) decrypt() bool {
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
	}
}
