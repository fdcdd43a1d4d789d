// Package freeport finds ports for tests that start servers on addresses that
// have to be known beforehand.
package freeport

import (
	"math/rand/v2"
	"net"
	"strconv"
	"testing"
)

// Addr gives an address of 127.0.0.1 on which nothing listens now, over TCP nor
// UDP. Its port is none that the system gives to clients or to port 0, so that no
// other socket of the test takes it before it is used.
func Addr(t testing.TB) string {
	t.Helper()
	for range 100 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20000+rand.IntN(10000)))
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		udp, err := net.ListenPacket("udp", addr)
		tcp.Close()
		if err != nil {
			continue
		}
		udp.Close()
		return addr
	}
	t.Fatal("no port from 20000 to 29999 is free for both TCP and UDP")
	return ""
}

// Port gives the port of an Addr.
func Port(t testing.TB) string {
	t.Helper()
	_, port, _ := net.SplitHostPort(Addr(t))
	return port
}
