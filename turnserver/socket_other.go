//go:build !linux

package turnserver

import (
	"context"
	"net"
	"syscall"
)

// canShare tells whether several sockets can share a port.
const canShare = false

func reusePort(_, _ string, _ syscall.RawConn) error { return nil }

type batchSys struct{}

func (*batchSys) init([]packet) {}

func listenSystem(network, address string, shared bool) (packetSocket, error) {
	conn, err := (&net.ListenConfig{}).ListenPacket(context.Background(), network, address)
	if err != nil {
		return nil, err
	}
	return &plainSocket{PacketConn: conn}, nil
}
