package turnserver

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// tcpConn is a TCP connection that is read and written by raw system calls: as the
// socket never waits, Go's scheduler need not be told of them, which at low rates costs
// more than the calls.
type tcpConn struct {
	*net.TCPConn
	raw syscall.RawConn
}

// overTCP makes a tcpConn of a TCP connection; others stay what they are.
func overTCP(conn net.Conn) net.Conn {
	tcp, ok := conn.(*net.TCPConn)
	if !ok {
		return conn
	}
	raw, err := tcp.SyscallConn()
	if err == nil {
		// Where the system does not know it, receive reads once more.
		err = raw.Control(func(fd uintptr) { _ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_INQ, 1) })
	}
	if err != nil {
		return conn
	}
	return &tcpConn{tcp, raw}
}

// chunk is what a connection is read into, with what recvmsg takes for it.
type chunk struct {
	b    [chunkSize]byte
	iov  unix.Iovec
	hdr  unix.Msghdr
	cmsg [32]byte
}

var chunks = sync.Pool{New: func() any {
	c := new(chunk)
	c.iov.Base = &c.b[0]
	c.iov.SetLen(len(c.b))
	c.hdr.Iov, c.hdr.Control = &c.iov, &c.cmsg[0]
	c.hdr.SetIovlen(1)
	return c
}}

// recv reads without waiting. It returns how many bytes came, and whether there may be
// more: the system tells by TCP_INQ, for the end of the stream too.
func (c *chunk) recv(fd uintptr) (n int, more bool, errno unix.Errno) {
	c.hdr.SetControllen(len(c.cmsg))
	r, _, errno := unix.RawSyscall(unix.SYS_RECVMSG, fd, uintptr(unsafe.Pointer(&c.hdr)), unix.MSG_DONTWAIT)
	if errno != 0 {
		return 0, false, errno
	}
	h := (*unix.Cmsghdr)(unsafe.Pointer(&c.cmsg[0]))
	known := int(c.hdr.Controllen) >= unix.CmsgLen(4) && h.Level == unix.IPPROTO_TCP && h.Type == unix.TCP_CM_INQ
	return int(r), !known || binary.NativeEndian.Uint32(c.cmsg[unix.CmsgLen(0):]) > 0, 0
}

// receive waits as systemSocket.receive does.
func (c *tcpConn) receive(got func([]byte) bool) error {
	var end error
	err := c.raw.Read(func(fd uintptr) bool {
		b := chunks.Get().(*chunk)
		defer chunks.Put(b)
		for {
			n, more, errno := b.recv(fd)
			switch {
			case errno == unix.EAGAIN:
				return false
			case errno == unix.EINTR:
				continue
			case errno != 0:
				end = &net.OpError{Op: "read", Net: "tcp", Err: errno}
				return true
			case n == 0:
				end = io.EOF
				return true
			}
			if !got(b.b[:n]) {
				return true
			}
			if !more {
				return false
			}
		}
	})
	if err == nil {
		err = end
	}
	return err
}

func (c *tcpConn) Read(b []byte) (n int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	var errno unix.Errno
	err = c.raw.Read(func(fd uintptr) bool {
		n, errno = transfer(unix.SYS_READ, fd, b)
		return errno != unix.EAGAIN
	})
	switch {
	case err != nil:
		return 0, err
	case errno != 0:
		return 0, &net.OpError{Op: "read", Net: "tcp", Err: errno}
	case n == 0:
		return 0, io.EOF
	}
	return n, nil
}

func (c *tcpConn) Write(b []byte) (done int, err error) {
	if len(b) == 0 {
		return 0, nil
	}
	var errno unix.Errno
	err = c.raw.Write(func(fd uintptr) bool {
		for done < len(b) {
			var n int
			if n, errno = transfer(unix.SYS_WRITE, fd, b[done:]); errno != 0 {
				return errno != unix.EAGAIN
			}
			done += n
		}
		return true
	})
	if err == nil && errno != 0 {
		err = &net.OpError{Op: "write", Net: "tcp", Err: errno}
	}
	return done, err
}

// transfer reads into b or writes it.
func transfer(call, fd uintptr, b []byte) (int, unix.Errno) {
	for {
		n, _, errno := unix.RawSyscall(call, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
		if errno == 0 {
			return int(n), 0
		}
		if errno != unix.EINTR {
			return 0, errno
		}
	}
}

// socketWaiter is the waiter of a socket.
type socketWaiter struct{ raw syscall.RawConn }

// waiterOf returns the waiter of the socket below conn, or nil.
func waiterOf(conn net.Conn) waiter {
	if sc, ok := Underlying(conn).(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			return socketWaiter{raw}
		}
	}
	return nil
}

func (w socketWaiter) wait() error {
	return w.raw.Read(func(fd uintptr) bool {
		var b [1]byte
		for {
			_, _, errno := unix.RawSyscall6(unix.SYS_RECVFROM, fd, uintptr(unsafe.Pointer(&b)), 1, unix.MSG_PEEK|unix.MSG_DONTWAIT, 0, 0)
			if errno != unix.EINTR {
				return errno != unix.EAGAIN
			}
		}
	})
}
