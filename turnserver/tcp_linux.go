package turnserver

import (
	"io"
	"net"
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
	if err != nil {
		return conn
	}
	return &tcpConn{tcp, raw}
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
