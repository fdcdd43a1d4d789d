package web

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// control has the kernel give up a connection on which what was sent is not acknowledged
// in time (tcp(7), TCP_USER_TIMEOUT).
func control(_, _ string, c syscall.RawConn) error {
	return c.Control(func(fd uintptr) {
		_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(deadAfter.Milliseconds()))
	})
}
