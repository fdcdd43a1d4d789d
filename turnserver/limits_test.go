package turnserver

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun"
)

func TestRequestsThatAreRefused(t *testing.T) {
	s := start(t, nil)
	server := listen(t, s, UDP)
	fresh := newRawClient(t, UDP, server, "fresh")
	fresh.challenge()
	holder := newRawClient(t, UDP, server, "holder")
	holder.allocate()
	for _, tc := range []struct {
		name   string
		c      *rawClient
		code   int
		method stun.Method
		attrs  []stun.Setter
	}{
		{"a TCP relay (RFC 6062)", fresh, 442, stun.MethodAllocate, []stun.Setter{wantTCP}},
		{"no transport", fresh, 400, stun.MethodAllocate, nil},
		{"a port that is not reserved", fresh, 508, stun.MethodAllocate, []stun.Setter{wantUDP, attr(attrReservationToken, 1, 2, 3, 4, 5, 6, 7, 8)}},
		{"unfragmented", fresh, 420, stun.MethodAllocate, []stun.Setter{wantUDP, attr(attrDontFragment)}},
		{"unknown attribute", fresh, 420, stun.MethodAllocate, []stun.Setter{wantUDP, attr(0x0077, 1)}},
		{"IPv6 without an IPv6 relay", fresh, 440, stun.MethodAllocate, []stun.Setter{wantUDP, attr(attrFamily, 2, 0, 0, 0)}},
		{"refresh of nothing", fresh, 437, stun.MethodRefresh, nil},
		{"permission on nothing", fresh, 437, stun.MethodCreatePermission, []stun.Setter{peer("127.0.0.1:9")}},
		{"channel on nothing", fresh, 437, stun.MethodChannelBind, []stun.Setter{channelAttr(0x4000), peer("127.0.0.1:9")}},
		{"second allocation", holder, 437, stun.MethodAllocate, []stun.Setter{wantUDP}},
		{"permission for nobody", holder, 400, stun.MethodCreatePermission, nil},
		{"channel to nobody", holder, 400, stun.MethodChannelBind, []stun.Setter{channelAttr(0x4000)}},
		{"channel without a number", holder, 400, stun.MethodChannelBind, []stun.Setter{peer("127.0.0.1:9")}},
		{"channel number too low", holder, 400, stun.MethodChannelBind, []stun.Setter{channelAttr(0x3fff), peer("127.0.0.1:9")}},
		{"channel number too high", holder, 400, stun.MethodChannelBind, []stun.Setter{channelAttr(0x8000), peer("127.0.0.1:9")}},
		{"channel", holder, 0, stun.MethodChannelBind, []stun.Setter{channelAttr(0x4000), peer("127.0.0.1:9")}},
		{"channel again", holder, 0, stun.MethodChannelBind, []stun.Setter{channelAttr(0x4000), peer("127.0.0.1:9")}},
		{"channel to a second peer", holder, 400, stun.MethodChannelBind, []stun.Setter{channelAttr(0x4000), peer("127.0.0.1:10")}},
		{"peer on a second channel", holder, 400, stun.MethodChannelBind, []stun.Setter{channelAttr(0x4001), peer("127.0.0.1:9")}},
	} {
		if code := tc.c.request(tc.method, tc.attrs...); code != tc.code {
			t.Errorf("%s: code %d, want %d", tc.name, code, tc.code)
		}
	}
	st := s.Stats()
	if st.AllocationsTotal["udp"] != 1 {
		t.Errorf("%d allocations were made, want the holder's only", st.AllocationsTotal["udp"])
	}
	if st.Refused[442] != 1 || st.Refused[508] != 1 {
		t.Errorf("refusals are counted as %v", st.Refused)
	}
	if u, _ := s.User("fresh"); u.Allocations != 0 {
		t.Errorf("refused requests hold %d allocations of the quota", u.Allocations)
	}
}

func TestUserAllocations(t *testing.T) {
	s := start(t, func(c *Config) { c.Policy.UserAllocations = 2 })
	server := listen(t, s, UDP)
	var held [3]*rawClient
	for i := range held {
		held[i] = newRawClient(t, UDP, server, "a")
		held[i].challenge()
	}
	for i, want := range []int{0, 0, codeQuota} {
		if code := held[i].request(stun.MethodAllocate, wantUDP); code != want {
			t.Errorf("allocation %d: code %d, want %d", i+1, code, want)
		}
	}
	newRawClient(t, UDP, server, "b").allocate() // another user has a quota of their own
	if code := held[0].request(stun.MethodRefresh, attr(attrLifetime, 0, 0, 0, 0)); code != 0 {
		t.Errorf("delete: code %d", code)
	}
	if code := held[2].request(stun.MethodAllocate, wantUDP); code != 0 {
		t.Errorf("allocation after one was given back: code %d", code)
	}
}

func TestUserBytes(t *testing.T) {
	s := start(t, func(c *Config) { c.Policy.UserBytes = 1000 })
	server, to := listen(t, s, UDP), echo(t)
	relay := allocate(t, client(t, UDP, server, "a"))
	roundTrip(t, relay, to, strings.Repeat("x", 600)) // 1200 with the way back
	_, _ = relay.WriteTo([]byte("more"), to)
	eventually(t, "the rest is dropped", func() bool { return s.Stats().Drops["quota"] > 0 })
	again := newRawClient(t, UDP, server, "a")
	again.challenge()
	if code := again.request(stun.MethodAllocate, wantUDP); code != codeQuota {
		t.Errorf("a new allocation of a user who has used everything: code %d, want 486", code)
	}
	roundTrip(t, allocate(t, client(t, UDP, server, "b")), to, "another user")
}

func TestTotalBytes(t *testing.T) {
	s := start(t, func(c *Config) { c.Policy.TotalBytes = 1000 })
	server, to := listen(t, s, UDP), echo(t)
	if !s.RelayAvailable() {
		t.Error("no relay though the budget is whole")
	}
	relay := allocate(t, client(t, UDP, server, "a"))
	roundTrip(t, relay, to, strings.Repeat("x", 600))
	eventually(t, "the budget is used up", func() bool { return !s.RelayAvailable() })
	c := newRawClient(t, UDP, server, "b")
	c.challenge()
	if code := c.request(stun.MethodAllocate, wantUDP); code != codeInsufficient {
		t.Errorf("code %d, want 508", code)
	}
	p := s.Policy()
	p.TotalBytes = 1 << 20
	if err := s.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	if code := c.request(stun.MethodAllocate, wantUDP); code != 0 || !s.RelayAvailable() {
		t.Errorf("after more was granted: code %d", code)
	}
}

func TestBandwidth(t *testing.T) {
	for name, set := range map[string]func(*Policy){
		"user":  func(p *Policy) { p.UserBandwidth = 1000 },
		"total": func(p *Policy) { p.TotalBandwidth = 1000 },
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(c *Config) { set(&c.Policy) })
			c := newRawClient(t, UDP, listen(t, s, UDP), "a")
			c.allocate()
			if code := c.request(stun.MethodChannelBind, channelAttr(0x4000), peer("127.0.0.1:9")); code != 0 {
				t.Fatalf("channel: code %d", code)
			}
			const size, count = 1000, 200
			for range count {
				c.send(append([]byte{0x40, 0, size >> 8, size & 0xff}, make([]byte, size)...))
			}
			eventually(t, "every datagram is counted", func() bool {
				st := s.Stats()
				return st.UpPackets+st.Drops["bandwidth"]+st.Drops["socket"] == count
			})
			// A second's worth and 64 KiB may pass at once, and a little while the test runs.
			if up := s.Stats().UpBytes; up < 60*size || up > 80*size {
				t.Errorf("%d bytes were relayed, want about 66 KB", up)
			}
		})
	}
}

func TestUnauthRate(t *testing.T) {
	for name, tc := range map[string]struct {
		m    *stun.Message
		want int // with a burst of five seconds' worth
	}{
		"allocate": {stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), wantUDP), 50},
		"binding":  {stun.MustBuild(stun.TransactionID, stun.BindingRequest), 200},
		"no nonce": {stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), wantUDP, stun.NewUsername("9:a"),
			stun.NewRealm("example.org"), stun.NewNonce("n"), stun.NewLongTermIntegrity("9:a", "example.org", "x")), 50},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(c *Config) { c.Policy.UnauthRate = 10 })
			c := newRawClient(t, UDP, listen(t, s, UDP), "a")
			const asked = 400
			for range asked {
				c.send(tc.m.Raw)
			}
			got := 0
			for c.receive(200*time.Millisecond) != nil {
				got++
			}
			if got < tc.want || got > tc.want+20 {
				t.Errorf("%d answers to %d datagrams, want %d", got, asked, tc.want)
			}
			if d := s.Stats().Drops["unauth_limit"]; int(d) != asked-got {
				t.Errorf("%d are counted as dropped, want %d", d, asked-got)
			}
		})
	}
}

func TestSourceKey(t *testing.T) {
	for in, want := range map[string]string{"1.2.3.4": "1.2.3.4", "2600::1:2:3:4": "2600::", "2600:0:0:1::5": "2600:0:0:1::"} {
		if got := sourceKey(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
}

func TestBucket(t *testing.T) {
	var b bucket
	const second = int64(time.Second)
	for i, step := range []struct {
		now int64
		n   float64
		ok  bool
	}{
		{0, 100, true}, {0, 1, false}, {second / 10, 1, true}, {second / 10, 1, false}, {5 * second, 49, true},
		{5 * second, 1, false}, {100 * second, 101, false}, {100 * second, 100, true},
	} {
		if ok := b.take(step.now, step.n, 10, 100); ok != step.ok {
			t.Errorf("step %d: %v, want %v", i, ok, step.ok)
		}
	}
}

func TestConnLimits(t *testing.T) {
	s := start(t, func(c *Config) { c.MaxConnsPerSource = 2 })
	server := listen(t, s, TCP)
	first, second := newRawClient(t, TCP, server, "a"), newRawClient(t, TCP, server, "a")
	first.allocate()
	second.challenge()
	third := dialStream(t, TCP, server)
	defer third.Close()
	if _, err := third.Read(make([]byte, 1)); err == nil {
		t.Error("a connection beyond the limit is served")
	}
	if n := s.Stats().Drops["conn_limit"]; n != 1 {
		t.Errorf("%d connections refused, want 1", n)
	}
	_ = second.conn.Close()
	eventually(t, "a place is free", func() bool { return s.Stats().Conns["tcp"] == 1 })
	newRawClient(t, TCP, server, "b").allocate()
}

func TestRelayPortsRunOut(t *testing.T) {
	// Ports that nothing else takes: those that the system has just given out.
	held, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := uint16(held.LocalAddr().(*net.UDPAddr).Port)
	_ = held.Close()
	s := start(t, func(c *Config) { c.RelayPorts = PortRange{port, port} })
	server := listen(t, s, UDP)
	newRawClient(t, UDP, server, "a").allocate()
	if s.RelayAvailable() {
		t.Error("relay said to be available though every port is in use")
	}
	c := newRawClient(t, UDP, server, "b")
	c.challenge()
	if code := c.request(stun.MethodAllocate, wantUDP); code != codeInsufficient {
		t.Errorf("code %d, want 508", code)
	}
}

// The relay's own address is open for other allocations, and for nothing else there.
func TestOwnAddressReachesAllocationsOnly(t *testing.T) {
	service, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer service.Close()
	port := service.LocalAddr().(*net.UDPAddr).Port
	public := netip.MustParseAddr("5.6.7.8")
	s := start(t, func(c *Config) { c.RelayAddress, c.Policy.AllowPeers = public, nil })
	server := listen(t, s, UDP)
	a, b := newRawClient(t, UDP, server, "a"), newRawClient(t, UDP, server, "b")
	a.allocate()
	b.allocate()
	relayed := map[*rawClient]netip.AddrPort{}
	s.relays.each(func(al *allocation) {
		for _, c := range []*rawClient{a, b} {
			if c.conn.LocalAddr().String() == al.client.addr.String() {
				relayed[c] = al.addr
			}
		}
	})
	for _, c := range []*rawClient{a, b} {
		if code := c.request(stun.MethodCreatePermission, peer("5.6.7.8:1")); code != 0 {
			t.Fatalf("permission for the relay's own address: code %d", code)
		}
	}
	data := func(to netip.AddrPort) {
		m := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodSend, stun.ClassIndication), peerAttr(to),
			attr(attrData, []byte("hello")...))
		a.send(m.Raw)
	}
	data(relayed[b])
	got := &stun.Message{Raw: b.receive(5 * time.Second)}
	if err := got.Decode(); err != nil {
		t.Fatalf("nothing came to the other allocation: %v", err)
	}
	from, ok := xorAddress(mustGet(t, got, stun.AttrXORPeerAddress), got.TransactionID)
	if !ok || from != relayed[a] || string(mustGet(t, got, stun.AttrData)) != "hello" {
		t.Errorf("got %v from %v", got, from)
	}
	data(netip.AddrPortFrom(public, uint16(port)))
	eventually(t, "the datagram to a service is dropped", func() bool { return s.Stats().Drops["own_address"] == 1 })
}

func mustGet(t testing.TB, m *stun.Message, a stun.AttrType) []byte {
	t.Helper()
	v, err := m.Get(a)
	if err != nil {
		t.Fatalf("%v: %v", a, err)
	}
	return v
}

func TestStreamsThatAreNotTURN(t *testing.T) {
	s := start(t, nil)
	server := listen(t, s, TCP)
	for _, text := range []string{"\x80\x00\x00\x00", "\x00\x01\x00\x03\x21\x12\xa4\x42"} {
		conn := dialStream(t, TCP, server)
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		if n, err := conn.Read(make([]byte, 10)); err == nil {
			t.Errorf("%q is answered with %d bytes", text, n)
		} else if ne, ok := err.(net.Error); ok && ne.Timeout() {
			t.Errorf("%q leaves the connection open", text)
		}
		_ = conn.Close()
	}
}

// A flood on one listener must not keep another from its clients.
func TestAFloodDoesNotStarveAnotherListener(t *testing.T) {
	s := start(t, func(c *Config) { c.Policy.UnauthRate = 0 })
	flooded, quiet := listen(t, s, UDP), listen(t, s, UDP)
	stop := make(chan struct{})
	stopped := make(chan int)
	flood, err := net.Dial("udp4", flooded.String())
	if err != nil {
		t.Fatal(err)
	}
	defer flood.Close()
	go func() {
		m := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), wantUDP).Raw
		n := 0
		for {
			select {
			case <-stop:
				stopped <- n
				return
			default:
				_, _ = flood.Write(m)
				n++
			}
		}
	}()
	to := echo(t)
	relay := allocate(t, client(t, UDP, quiet, "viewer"))
	var slowest time.Duration
	for i := range 200 {
		begin := time.Now()
		roundTrip(t, relay, to, fmt.Sprintf("message %d", i))
		slowest = max(slowest, time.Since(begin))
	}
	close(stop)
	n := <-stopped
	t.Logf("slowest of 200 round trips beside %d datagrams of flood: %v", n, slowest)
	if slowest > time.Second {
		t.Errorf("a round trip took %v", slowest)
	}
}

// TestSilentSourcesLeaveRoom: as many silent connections of one source as there may be
// leave a TCP or TLS listener to others, also where it reads something before STUN.
func TestSilentSourcesLeaveRoom(t *testing.T) {
	asItIs := func(c net.Conn) (net.Conn, error) { return c, nil }
	config := serverTLS(t)
	for name, listen := range map[string]func(*Server) (net.Addr, error){
		"tcp":       func(s *Server) (net.Addr, error) { return s.ListenTCP("127.0.0.1:0") },
		"tcp, more": func(s *Server) (net.Addr, error) { return s.ListenTCPWith("127.0.0.1:0", asItIs) },
		"tls": func(s *Server) (net.Addr, error) {
			return s.ListenTLS("127.0.0.1:0", func() *tls.Config { return config })
		},
		"tls, more": func(s *Server) (net.Addr, error) {
			return s.ListenTLSWith("127.0.0.1:0", asItIs, func() *tls.Config { return config })
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, nil)
			server, err := listen(s)
			if err != nil {
				t.Fatal(err)
			}
			for range 1100 {
				conn, err := net.Dial("tcp", server.String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
			}
			dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}
			conn, err := dialer.Dial("tcp", server.String())
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if name[:3] == "tls" {
				conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true})
			}
			_ = conn.SetDeadline(time.Now().Add(5 * time.Second))
			if _, err := conn.Write(stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw); err != nil {
				t.Fatal(err)
			}
			if _, err := conn.Read(make([]byte, 100)); err != nil {
				t.Errorf("another source is not answered: %v", err)
			}
		})
	}
}
