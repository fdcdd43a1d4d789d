package turnserver

import (
	"net"
	"syscall"

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
