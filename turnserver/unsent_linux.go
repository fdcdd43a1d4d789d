package turnserver

import (
	"errors"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// notSentLowWater is how many bytes the kernel may hold for a client that it has not
// sent: above, a write waits, and what waits behind it can still be dropped.
const notSentLowWater = 16 << 10

// limitUnsent bounds what the kernel holds unsent for a stream.
func limitUnsent(conn net.Conn) {
	sc, ok := Underlying(conn).(syscall.Conn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentLowWater)
	})
}

// socketCork corks a TCP connection in the system (TCP_CORK, tcp(7)): each record is still
// a call, but they leave together.
type socketCork struct{ raw syscall.RawConn }

// corkOf returns the cork of the socket below conn, or nil.
func corkOf(conn net.Conn) cork {
	if sc, ok := Underlying(conn).(syscall.Conn); ok {
		if raw, err := sc.SyscallConn(); err == nil {
			return socketCork{raw}
		}
	}
	return nil
}

func (c socketCork) set(v int32) (err error) {
	cerr := c.raw.Control(func(fd uintptr) {
		_, _, errno := unix.RawSyscall6(unix.SYS_SETSOCKOPT, fd, unix.IPPROTO_TCP, unix.TCP_CORK, uintptr(unsafe.Pointer(&v)), unsafe.Sizeof(v), 0)
		if errno != 0 {
			err = errno
		}
	})
	return errors.Join(cerr, err)
}

func (c socketCork) hold()          { _ = c.set(1) }
func (c socketCork) release() error { return c.set(0) }
