package turnserver

import (
	"crypto/tls"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

func eachTransport(t *testing.T, f func(t *testing.T, tr Transport)) {
	for tr := range transports {
		t.Run(tr.String(), func(t *testing.T) { f(t, tr) })
	}
}

func TestRelaysOverEveryTransport(t *testing.T) {
	eachTransport(t, func(t *testing.T, tr Transport) {
		s := start(t, nil)
		server := listen(t, s, tr)
		relay := allocate(t, client(t, tr, server, "peer-1"))
		peer := echo(t)
		// The first goes by indication, later ones by channel. pion's client cannot read a
		// frame of fewer than nine bytes.
		for _, size := range []int{5, 6, 7, 1200} {
			roundTrip(t, relay, peer, strings.Repeat("x", size))
		}
		// A datagram is counted once it is sent, by when its echo may be back.
		eventually(t, "all is counted", func() bool { return s.Stats().UpPackets == 4 && s.Stats().DownPackets == 4 })
		st := s.Stats()
		if st.Allocations[tr.String()] != 1 || st.AllocationsTotal[tr.String()] != 1 {
			t.Errorf("allocations %v, in all %v, want one over %v", st.Allocations, st.AllocationsTotal, tr)
		}
		if st.UpBytes != 1218 || st.DownBytes != 1218 {
			t.Errorf("relayed %d bytes up, %d down, want 1218 each way", st.UpBytes, st.DownBytes)
		}
		if u, ok := s.User("peer-1"); !ok || u != (UserStats{Allocations: 1, Up: 1218, Down: 1218}) {
			t.Errorf("user's numbers are %+v", u)
		}
	})
}

func TestBindingTellsTheClientsAddress(t *testing.T) {
	eachTransport(t, func(t *testing.T, tr Transport) {
		s := start(t, func(c *Config) { c.Policy = Policy{} }) // STUN only
		server := listen(t, s, tr)
		conn := dial(t, tr, server)
		got, err := clientAs(t, conn, server, "", "").SendBindingRequest()
		if err != nil {
			t.Fatal(err)
		}
		if got.String() != conn.LocalAddr().String() {
			t.Errorf("mapped address %v, want %v", got, conn.LocalAddr())
		}
	})
}

func TestServeConnOfAnotherListener(t *testing.T) {
	s := start(t, nil)
	ln, err := tls.Listen("tcp", "127.0.0.1:0", serverTLS(t))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			s.ServeConn(conn) // before its handshake, which the first read makes
		}
	}()
	roundTrip(t, allocate(t, client(t, TLS, ln.Addr(), "a")), echo(t), "over the site's port")
	if n := s.Stats().Allocations["tls"]; n != 1 {
		t.Errorf("%d allocations over TLS, want 1", n)
	}
}

func TestTwoRelayedClientsMeet(t *testing.T) {
	s := start(t, nil)
	udp, tcp := listen(t, s, UDP), listen(t, s, TCP)
	a, b := allocate(t, client(t, UDP, udp, "a")), allocate(t, client(t, TCP, tcp, "b"))
	// Each opens its own side, as ICE does, then the datagrams pass.
	for _, msg := range []string{"first", "second"} {
		_, _ = a.WriteTo([]byte(msg), b.LocalAddr())
		roundTripVia(t, b, a, msg)
		roundTripVia(t, a, b, msg)
	}
}

// roundTripVia sends from one relayed address to another until it arrives.
func roundTripVia(t *testing.T, from, to net.PacketConn, msg string) {
	t.Helper()
	buf := make([]byte, 100)
	for range 50 {
		if _, err := from.WriteTo([]byte(msg), to.LocalAddr()); err != nil {
			t.Fatal(err)
		}
		_ = to.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
		if n, addr, err := to.ReadFrom(buf); err == nil && string(buf[:n]) == msg && addr.String() == from.LocalAddr().String() {
			return
		}
	}
	t.Fatalf("%q did not come from %v to %v", msg, from.LocalAddr(), to.LocalAddr())
}

func TestAllocationEndsWithItsConnection(t *testing.T) {
	for _, tr := range []Transport{TCP, TLS} {
		t.Run(tr.String(), func(t *testing.T) {
			s := start(t, nil)
			server := listen(t, s, tr)
			conn := dial(t, tr, server)
			username, password := mint(secret, "a", time.Minute)
			allocate(t, clientAs(t, conn, server, username, password))
			_ = conn.Close()
			eventually(t, "allocation and connection are gone", func() bool {
				st := s.Stats()
				u, _ := s.User("a")
				return st.Allocations[tr.String()] == 0 && st.Conns[tr.String()] == 0 && u.Allocations == 0
			})
		})
	}
}

func TestCloseEndsEverythingTwice(t *testing.T) {
	var mu sync.Mutex
	used := map[string][2]int64{}
	s := start(t, func(c *Config) {
		c.OnUsage = func(user string, up, down int64) {
			mu.Lock()
			defer mu.Unlock()
			u := used[user]
			used[user] = [2]int64{u[0] + up, u[1] + down}
		}
	})
	peer := echo(t)
	for tr := range transports {
		relay := allocate(t, client(t, tr, listen(t, s, tr), tr.String()))
		roundTrip(t, relay, peer, "12345")
	}
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	for tr := range transports {
		if got := used[tr.String()]; got != [2]int64{5, 5} {
			t.Errorf("usage of %v is %v, want 5 bytes each way", tr, got)
		}
	}
	if _, err := s.ListenUDP("127.0.0.1:0", 1); err == nil {
		t.Error("a closed server listens")
	}
}
