//go:build !linux

package turnserver

import "net"

// overTCP returns the connection as it is: only on Linux there is a cheaper way to use it.
func overTCP(conn net.Conn) net.Conn { return conn }

// waiterOf returns nil: there is no cheap way to ask a socket.
func waiterOf(net.Conn) waiter { return nil }
