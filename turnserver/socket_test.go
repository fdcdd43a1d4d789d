package turnserver

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"
)

// sockets are the kinds of packetSocket that there are here.
func sockets(t *testing.T) map[string]func() packetSocket {
	t.Helper()
	system := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	return map[string]func() packetSocket{
		"plain": func() packetSocket { return &plainSocket{PacketConn: system()} },
		"system": func() packetSocket {
			s, err := listenSystem("udp4", "127.0.0.1:0", false)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		"system, both families": func() packetSocket {
			s, err := listenSystem("udp", ":0", false)
			if err != nil {
				t.Fatal(err)
			}
			return s
		},
		"system, without segmentation": func() packetSocket {
			s, err := listenSystem("udp4", "127.0.0.1:0", false)
			if err != nil {
				t.Fatal(err)
			}
			disableGSO(s)
			return s
		},
	}
}

// Every kind of socket sends runs as datagrams of their own, and receives them in order,
// told from too large ones.
func TestPacketSockets(t *testing.T) {
	for name, open := range sockets(t) {
		for _, own := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, own batch %v", name, own), func(t *testing.T) {
				a, b := open(), open()
				defer a.Close()
				to := netip.AddrPortFrom(loopback, addrPortOf(b.LocalAddr()).Port())
				var want [][]byte
				for _, sizes := range [][]int{{1000, 1000, 1000, 10}, {1}, {0}, {700, 700}, {maxDatagram}, {maxDatagram + 1}, {5}} {
					var msgs [][]byte
					for i, n := range sizes {
						msgs = append(msgs, bytes.Repeat([]byte{byte(len(want) + i)}, n))
					}
					if n, err := a.send(netip.Addr{}, to, msgs); n != len(msgs) || err != nil {
						t.Fatalf("sent %d of %d: %v", n, len(msgs), err)
					}
					want = append(want, msgs...)
				}
				var own0 *batch
				if own {
					own0 = newBatch(4)
				}
				next := 0
				got := make(chan error, 1)
				go func() {
					got <- b.receive(own0, func(batch *batch) bool {
						for i := range batch.packets {
							p := &batch.packets[i]
							w := want[next]
							if p.oversize != (len(w) > maxDatagram) {
								t.Errorf("datagram %d: oversize %v", next, p.oversize)
							} else if !p.oversize && !bytes.Equal(p.data(), w) {
								t.Errorf("datagram %d: %d bytes, want %d", next, p.size, len(w))
							}
							if p.from.Addr() != loopback || p.from.Port() != addrPortOf(a.LocalAddr()).Port() {
								t.Errorf("datagram %d comes from %v", next, p.from)
							}
							next++
						}
						return next < len(want)
					})
				}()
				if err := <-got; err != nil {
					t.Fatal(err)
				}
				go func() { got <- b.receive(own0, func(*batch) bool { return true }) }()
				if err := b.Close(); err != nil {
					t.Fatal(err)
				}
				if err := <-got; err != net.ErrClosed {
					t.Errorf("a closed socket's receive ends with %v", err)
				}
				if _, err := b.send(netip.Addr{}, to, [][]byte{{1}}); err == nil {
					t.Error("a closed socket sends")
				}
			})
		}
	}
}

func TestRunLength(t *testing.T) {
	of := func(sizes ...int) (msgs [][]byte) {
		for _, n := range sizes {
			msgs = append(msgs, make([]byte, n))
		}
		return msgs
	}
	for _, tc := range []struct {
		msgs [][]byte
		want int
	}{
		{of(10), 1}, {of(10, 10, 10), 3}, {of(10, 10, 4, 10), 3}, {of(10, 11), 1}, {of(0), 1}, {of(0, 0), 1}, {of(10, 0), 1},
	} {
		if got := runLength(tc.msgs); got != tc.want {
			t.Errorf("%d messages: a run of %d, want %d", len(tc.msgs), got, tc.want)
		}
	}
	many := make([][]byte, 100)
	for i := range many {
		many[i] = make([]byte, 100)
	}
	if got := runLength(many); got != maxRun {
		t.Errorf("a run of %d, want %d", got, maxRun)
	}
	for i := range many {
		many[i] = make([]byte, maxDatagram)
	}
	if got := runLength(many); got*maxDatagram > maxSend || got < 20 {
		t.Errorf("a run of %d large messages", got)
	}
}

// The server works over any net.PacketConn too.
func TestPlainSockets(t *testing.T) {
	s := start(t, func(c *Config) {
		c.ListenPacket = func(ctx context.Context, network, address string) (net.PacketConn, error) {
			return new(net.ListenConfig).ListenPacket(ctx, network, address)
		}
	})
	relay, to := allocate(t, client(t, UDP, listen(t, s, UDP), "a")), echo(t)
	for i := range 10 {
		roundTrip(t, relay, to, fmt.Sprintf("datagram %d", i))
	}
}

// The config is asked for at every connection, so that a renewed certificate is used.
func TestRenewedCertificate(t *testing.T) {
	s := start(t, nil)
	configs := [2]*tls.Config{serverTLS(t), serverTLS(t)}
	var current atomic.Int32
	addr, err := s.ListenTLS("127.0.0.1:0", func() *tls.Config { return configs[current.Load()] })
	if err != nil {
		t.Fatal(err)
	}
	for i := range configs {
		current.Store(int32(i))
		conn, err := tls.DialWithDialer(&net.Dialer{Timeout: 5 * time.Second}, "tcp", addr.String(), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().PeerCertificates[0].Raw; !bytes.Equal(got, configs[i].Certificates[0].Certificate[0]) {
			t.Errorf("connection %d sees another certificate", i)
		}
		_ = conn.Close()
	}
	if _, err := s.ListenTLS("127.0.0.1:0", nil); err == nil {
		t.Error("TLS without a config")
	}
}

func TestListenErrors(t *testing.T) {
	s := start(t, nil)
	taken := listen(t, s, UDP).String()
	if _, err := s.ListenUDP(taken, 1); err == nil {
		t.Errorf("udp/%s is listened on twice", taken)
	}
	if _, err := s.ListenTCP("127.0.0.1:notaport"); err == nil {
		t.Error("a listener without a port")
	}
}
