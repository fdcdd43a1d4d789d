package turnserver

import (
	"net"
	"os"
	"sync"
)

// Underlying returns the connection that conn and those below it stand on: below TLS,
// and below a reader of the PROXY protocol, whose own addresses are those that the
// header names, and wait for it.
func Underlying(conn net.Conn) net.Conn {
	for {
		switch c := conn.(type) {
		case interface{ NetConn() net.Conn }:
			conn = c.NetConn()
		case interface{ Raw() net.Conn }:
			conn = c.Raw()
		default:
			return conn
		}
	}
}

// pieces are buffers to put messages together in.
var pieces = sync.Pool{New: func() any { return new([]byte) }}

// cork holds back what is written to a connection, so that several TLS records leave
// together.
type cork interface {
	hold()
	release() error
}

// corkConn is the connection below a TLS connection. It can hold back what is written
// so that several records leave in one call, and be fed what was read from below, so that
// TLS need not wait.
type corkConn struct {
	net.Conn
	mu   sync.Mutex
	held *[]byte // nil while nothing is held back

	// These belong to who reads.
	feeding bool
	fed     []byte
}

// BelowTLS makes of a connection one that is to stand below somebody else's TLS: where the
// TLS connection comes to ServeConn, it costs no more than one of ListenTLS.
func BelowTLS(conn net.Conn) net.Conn { return &corkConn{Conn: overTCP(conn)} }

// Read returns what was fed, and while the connection is being fed no more than that.
func (c *corkConn) Read(b []byte) (int, error) {
	switch {
	case !c.feeding:
		return c.Conn.Read(b)
	case len(c.fed) == 0:
		return 0, os.ErrDeadlineExceeded // after which TLS can be read again
	}
	n := copy(b, c.fed)
	c.fed = c.fed[n:]
	return n, nil
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

// NetConn returns the connection below, as that of a *tls.Conn does.
func (c *corkConn) NetConn() net.Conn { return c.Conn }
