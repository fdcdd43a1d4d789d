package turnserver

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun"
)

func TestIdleConnectionsAreClosed(t *testing.T) {
	s := start(t, nil)
	s.timeouts.first, s.timeouts.idle = 200*time.Millisecond, 400*time.Millisecond
	server := listen(t, s, TCP)
	ping := stun.MustBuild(stun.TransactionID, stun.BindingRequest).Raw
	holder := newRawClient(t, TCP, server, "holder")
	holder.allocate()

	for name, tc := range map[string]struct {
		send []byte
		want time.Duration
	}{
		"nothing":             {nil, s.timeouts.first},
		"half a message":      {ping[:10], s.timeouts.first},
		"a message, no more":  {ping, s.timeouts.idle},
		"a message and a bit": {append(append([]byte{}, ping...), 0, 1), s.timeouts.idle},
	} {
		t.Run(name, func(t *testing.T) {
			conn := dialStream(t, TCP, server)
			defer conn.Close()
			begin := time.Now()
			if _, err := conn.Write(tc.send); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(begin.Add(10 * time.Second))
			buf := make([]byte, 100)
			for {
				if _, err := conn.Read(buf); err != nil {
					break
				}
			}
			if d := time.Since(begin); d < tc.want-50*time.Millisecond || d > tc.want+2*time.Second {
				t.Errorf("closed after %v, want %v", d, tc.want)
			}
		})
	}
	// Longer than any timeout has passed for the holder, whose allocation keeps it.
	if code := holder.request(stun.MethodRefresh); code != 0 {
		t.Errorf("refresh on a silent connection with an allocation: code %d", code)
	}
}

// A client that takes nothing must not hold a goroutine for ever.
func TestAStuckClientIsClosed(t *testing.T) {
	s := start(t, nil)
	s.timeouts.write = 100 * time.Millisecond
	server := listen(t, s, TCP)
	c := newRawClient(t, TCP, server, "stuck")
	c.allocate()
	sender, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer sender.Close()
	from := netip.MustParseAddrPort(sender.LocalAddr().String())
	if code := c.request(stun.MethodChannelBind, channelAttr(0x4000), peerAttr(from)); code != 0 {
		t.Fatalf("channel: code %d", code)
	}
	var relayed net.Addr
	s.relays.each(func(a *allocation) { relayed = net.UDPAddrFromAddrPort(a.addr) })
	eventually(t, "the connection is closed", func() bool {
		for range 200 {
			_, _ = sender.WriteTo(make([]byte, 1400), relayed)
		}
		return s.Stats().Conns["tcp"] == 0
	})
	if n := s.Stats().Allocations["tcp"]; n != 0 {
		t.Errorf("%d allocations are left", n)
	}
}

func TestAllocationExpires(t *testing.T) {
	s := start(t, nil)
	s.timeouts.lifetime = time.Second
	server := listen(t, s, UDP)
	c := newRawClient(t, UDP, server, "a")
	c.challenge()
	lifetime := func(seconds uint32) stun.RawAttribute {
		return attr(attrLifetime, binary.BigEndian.AppendUint32(nil, seconds)...)
	}
	if code := c.request(stun.MethodAllocate, wantUDP, lifetime(1)); code != 0 {
		t.Fatalf("allocate: code %d", code)
	}
	if code := c.request(stun.MethodRefresh, lifetime(2)); code != 0 {
		t.Fatalf("refresh: code %d", code)
	}
	if code := c.request(stun.MethodCreatePermission, peer("127.0.0.1:9")); code != 0 {
		t.Errorf("permission: code %d", code)
	}
	begin := time.Now()
	eventually(t, "the allocation has expired", func() bool { return s.Stats().Allocations["udp"] == 0 })
	if d := time.Since(begin); d < 1500*time.Millisecond || d > 4*time.Second {
		t.Errorf("it expired after %v, want 2 s", d)
	}
	if u, _ := s.User("a"); u.Allocations != 0 {
		t.Errorf("its user still holds %d", u.Allocations)
	}
}

// pion deletes an allocation a second time when its reading goroutine ends, by when the
// client may have made another: that one must stay.
func TestDeleteAndAllocateAtOnce(t *testing.T) {
	s := start(t, nil)
	c := newRawClient(t, UDP, listen(t, s, UDP), "a")
	c.allocate()
	for i := range 300 {
		// Sent together, so that the server works on them one right after the other.
		c.send(c.build(stun.MethodRefresh, attr(attrLifetime, 0, 0, 0, 0)).Raw)
		again := c.build(stun.MethodAllocate, wantUDP)
		if code := codeOf(t, c.do(again)); code != 0 {
			t.Fatalf("allocation %d: code %d", i, code)
		}
	}
	if code := c.request(stun.MethodRefresh); code != 0 {
		t.Errorf("refresh of the last: code %d", code)
	}
	if st := s.Stats(); st.Allocations["udp"] != 1 || st.AllocationsTotal["udp"] != 301 {
		t.Errorf("%d allocations of %d, want 1 of 301", st.Allocations["udp"], st.AllocationsTotal["udp"])
	}
}

func TestPermissionsAreBounded(t *testing.T) {
	s := start(t, nil)
	c := newRawClient(t, UDP, listen(t, s, UDP), "a")
	c.allocate()
	last := 0
	for i := range maxPeers + 16 {
		last = c.request(stun.MethodCreatePermission, peer(fmt.Sprintf("127.0.%d.%d:9", i/200, i%200)))
		if want := i >= maxPeers; (last != 0) != want {
			t.Fatalf("permission %d: code %d", i+1, last)
		}
	}
	if last != codeInsufficient {
		t.Errorf("code %d, want 508", last)
	}
	if code := c.request(stun.MethodCreatePermission, peer("127.0.0.1:9")); code != 0 {
		t.Errorf("renewal of one that is held: code %d", code)
	}
	if code := c.request(stun.MethodChannelBind, channelAttr(0x4000), peer("127.0.0.1:9")); code != 0 {
		t.Errorf("channel: code %d", code)
	}
	// A request with one bad peer grants none of the others.
	p := s.Policy()
	p.AllowPeers = append(p.AllowPeers, prefixes("10.0.0.0/8")...)
	p.DenyPeers = prefixes("10.9.0.0/16")
	if err := s.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	other := newRawClient(t, UDP, listen(t, s, UDP), "b")
	other.allocate()
	if code := other.request(stun.MethodCreatePermission, peer("10.1.0.1:9"), peer("10.9.0.1:9")); code != codeForbidden {
		t.Errorf("code %d, want 403", code)
	}
	s.relays.each(func(a *allocation) {
		if a.user.name == "b" && a.permitted(netip.MustParseAddr("10.1.0.1"), s.now()) {
			t.Error("the good peer of a refused request was granted")
		}
	})
}

// Many clients over sockets that share a port, of both address families, in bursts that
// make batches.
func TestSharedSocketsAndBothFamilies(t *testing.T) {
	s := start(t, func(c *Config) {
		c.RelayAddress6, c.RelayBind6 = netip.IPv6Loopback(), netip.IPv6Loopback()
		c.Policy.AllowPeers = prefixes("127.0.0.0/8", "::1/128")
		c.Policy.UserAllocations = -1
	})
	any, err := s.ListenUDP("[::]:0", 4)
	if err != nil {
		t.Fatal(err)
	}
	port := any.(*net.UDPAddr).Port
	var wg sync.WaitGroup
	for i := range 24 {
		wg.Go(func() {
			host, family := "127.0.0.1", byte(familyIPv4)
			if i%2 == 1 {
				host, family = "::1", familyIPv6
			}
			conn, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			username, password := mint(secret, "a", time.Minute)
			c := &rawClient{t: t, conn: conn, server: &net.UDPAddr{IP: net.ParseIP(host), Port: port}, username: username, password: password}
			peer, err := net.ListenPacket("udp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Error(err)
				return
			}
			defer peer.Close()
			c.allocate(attr(attrFamily, family, 0, 0, 0))
			if code := c.request(stun.MethodChannelBind, channelAttr(0x4000), peerAttr(netip.MustParseAddrPort(peer.LocalAddr().String()))); code != 0 {
				t.Errorf("channel: code %d", code)
				return
			}
			// A burst up, its echo as a burst down, whose sizes make runs and break them.
			sizes := []int{900, 900, 900, 400, 900, 900, 1, 1200, 1200, 0, 0, 7}
			for _, n := range sizes {
				c.send(append([]byte{0x40, 0, byte(n >> 8), byte(n)}, make([]byte, n)...))
			}
			buf := make([]byte, 2000)
			var back net.Addr
			for k, want := range sizes {
				_ = peer.SetReadDeadline(time.Now().Add(5 * time.Second))
				n, from, err := peer.ReadFrom(buf)
				if err != nil || n != want {
					t.Errorf("datagram %d of client %d: %d bytes, %v, want %d", k, i, n, err, want)
					return
				}
				back = from
			}
			for _, n := range sizes {
				_, _ = peer.WriteTo(make([]byte, n), back)
			}
			for k, want := range sizes {
				b := c.receive(5 * time.Second)
				if len(b) != want+channelHeader || int(binary.BigEndian.Uint16(b[2:])) != want {
					t.Errorf("datagram %d back to client %d: %d bytes, want %d", k, i, len(b), want+channelHeader)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := s.Stats().Allocations["udp"]; n != 24 {
		t.Errorf("%d allocations, want 24", n)
	}
}

// TestPermissionsForManyPeersAtOnce: one request may name as many peers as a datagram has
// room for, and is answered 508 where that makes too many.
func TestPermissionsForManyPeersAtOnce(t *testing.T) {
	s := start(t, nil)
	c := newRawClient(t, UDP, listen(t, s, UDP), "a")
	c.allocate()
	many := func(net, n int) (peers []stun.Setter) {
		for i := range n {
			peers = append(peers, peer(fmt.Sprintf("127.0.%d.%d:9", net, i)))
		}
		return peers
	}
	for i, want := range []int{0, 0, codeInsufficient} {
		if code := c.request(stun.MethodCreatePermission, many(i, 100)...); code != want {
			t.Errorf("100 peers for the %d. time: code %d, want %d", i+1, code, want)
		}
	}
}
