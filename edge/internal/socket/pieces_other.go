//go:build !unix

package socket

import "net"

// pieces is for systems where a connection can be waited for without a buffer.
type pieces struct{ net.Conn }

func newPieces(*net.TCPConn) *pieces { return nil }
