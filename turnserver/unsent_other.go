//go:build !linux

package turnserver

import "net"

// sendBuffer stands for TCP_NOTSENT_LOWAT, which not every system has: it bounds
// what is sent and not acknowledged, too.
const sendBuffer = 64 << 10

// limitUnsent bounds what the kernel holds for a stream.
func limitUnsent(conn net.Conn) {
	if c, ok := Underlying(conn).(interface{ SetWriteBuffer(int) error }); ok {
		_ = c.SetWriteBuffer(sendBuffer)
	}
}

// corkOf returns nil: not every system has a cork.
func corkOf(net.Conn) cork { return nil }
