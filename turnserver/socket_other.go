//go:build !linux

package turnserver

import (
	"context"
	"net"
	"net/netip"
	"syscall"
)

// canShare tells whether several sockets can share a port.
const canShare = false

func overSystem(conn *net.UDPConn) (packetSocket, error) { return &plainSocket{PacketConn: conn}, nil }

// localOf would read the local address of a datagram, of which other systems tell in
// other ways.
func localOf([]byte) netip.Addr { return netip.Addr{} }

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
