//go:build unix

package socket

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
)

// pieceSize is how much is read at once, in bytes.
const pieceSize = 16 << 10

var free = sync.Pool{New: func() any { return new([pieceSize]byte) }}

// pieces reads a connection without a buffer of its own: one is borrowed when there is
// something to read, and given back when all of it was taken.
type pieces struct {
	raw    syscall.RawConn
	try    func(fd uintptr) bool // p.receive
	buffer *[pieceSize]byte      // nil for none
	rest   []byte                // of buffer
	err    error
}

func newPieces(c *net.TCPConn) *pieces {
	raw, err := c.SyscallConn()
	if err != nil {
		return nil
	}
	p := &pieces{raw: raw}
	p.try = p.receive
	return p
}

// Read is called by one goroutine at a time.
func (p *pieces) Read(b []byte) (int, error) {
	if len(p.rest) == 0 {
		if err := p.raw.Read(p.try); err != nil {
			return 0, err
		}
		if p.err != nil {
			return 0, p.err
		}
	}
	n := copy(b, p.rest)
	if p.rest = p.rest[n:]; len(p.rest) == 0 {
		free.Put(p.buffer)
		p.buffer, p.rest = nil, nil
	}
	return n, nil
}

// receive reads what is there; it returns false if that is nothing yet.
func (p *pieces) receive(fd uintptr) bool {
	b := free.Get().(*[pieceSize]byte)
	for {
		n, err := syscall.Read(int(fd), b[:])
		switch {
		case err == syscall.EINTR:
			continue
		case n > 0:
			p.buffer, p.rest = b, b[:n]
			return true
		}
		free.Put(b)
		switch err {
		case syscall.EAGAIN:
			return false
		case nil:
			p.err = io.EOF
		default:
			p.err = os.NewSyscallError("read", err)
		}
		return true
	}
}
