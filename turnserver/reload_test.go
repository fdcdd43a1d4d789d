package turnserver

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/pion/stun"
)

// A policy that says no to relaying holds for new allocations at once, for old ones
// when they are refreshed.
func TestRelayIsDisabled(t *testing.T) {
	s := start(t, nil)
	server, to := listen(t, s, UDP), echo(t)
	relay := allocate(t, client(t, UDP, server, "old"))
	roundTrip(t, relay, to, "before")
	old := newRawClient(t, UDP, server, "other")
	old.allocate()

	p := s.Policy()
	p.RelayEnabled = false
	if err := s.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	roundTrip(t, relay, to, "after")
	fresh := newRawClient(t, UDP, server, "fresh")
	fresh.challenge()
	if code := fresh.request(stun.MethodAllocate, wantUDP); code != codeForbidden {
		t.Errorf("a new allocation: code %d, want 403", code)
	}
	if code := old.request(stun.MethodRefresh); code != codeForbidden {
		t.Errorf("refresh: code %d, want 403", code)
	}
	eventually(t, "the allocation that was not refreshed has ended", func() bool { return s.Stats().Allocations["udp"] == 1 })
	if code := fresh.request(stun.MethodBinding); code != 0 {
		t.Errorf("binding: code %d", code)
	}
	if s.RelayAvailable() {
		t.Error("the relay is said to be available")
	}
}

// Limits of an existing allocation change when it is refreshed.
func TestLimitsChangeAtRefresh(t *testing.T) {
	s := start(t, nil)
	server, to := listen(t, s, UDP), echo(t)
	c := newRawClient(t, UDP, server, "a")
	c.allocate()
	target := peerAttr(netip.MustParseAddrPort(to.String()))
	if code := c.request(stun.MethodChannelBind, channelAttr(0x4000), target); code != 0 {
		t.Fatalf("channel: code %d", code)
	}
	ask := func() bool {
		c.send([]byte{0x40, 0, 0, 4, 'p', 'i', 'n', 'g'})
		return c.receive(300*time.Millisecond) != nil
	}
	if !ask() {
		t.Fatal("nothing is relayed at first")
	}
	p := s.Policy()
	p.UserBytes = 1
	if err := s.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	if !ask() {
		t.Error("the new limit holds before the refresh")
	}
	if code := c.request(stun.MethodRefresh); code != 0 {
		t.Fatalf("refresh: code %d", code)
	}
	if ask() {
		t.Error("the new limit does not hold after the refresh")
	}
}

// A permission obeys the policy of the moment, on an old allocation too.
func TestPermissionsObeyTheNewPolicy(t *testing.T) {
	s := start(t, nil)
	c := newRawClient(t, UDP, listen(t, s, UDP), "a")
	c.allocate()
	p := s.Policy()
	p.DenyPeers = prefixes("127.0.0.0/8")
	if err := s.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	if code := c.request(stun.MethodCreatePermission, peer("127.0.0.1:9")); code != codeForbidden {
		t.Errorf("code %d, want 403", code)
	}
}

// 200 allocations over UDP and 50 over TLS relay on through 20 changes of policy, and
// none loses a datagram.
func TestAllocationsSurvivePolicyChanges(t *testing.T) {
	s := start(t, nil)
	udp, tls, to := listen(t, s, UDP), listen(t, s, TLS), echo(t)
	var relays []net.PacketConn
	for i := range 250 {
		tr, server := UDP, udp
		if i >= 200 {
			tr, server = TLS, tls
		}
		relays = append(relays, allocate(t, client(t, tr, server, fmt.Sprintf("viewer-%d", i))))
	}
	everyone := func(round int) {
		t.Helper()
		var wg sync.WaitGroup
		for i, relay := range relays {
			wg.Go(func() {
				// A datagram may be lost before the channel is bound, never after.
				roundTrip(t, relay, to, fmt.Sprintf("viewer %d, round %d", i, round))
			})
			if i%50 == 49 {
				wg.Wait()
			}
		}
		wg.Wait()
	}
	everyone(0)
	for round := 1; round <= 20 && !t.Failed(); round++ {
		p := s.Policy()
		p.UserBandwidth = int64(round) << 20
		p.Secrets = [][]byte{fmt.Appendf(nil, "secret %d", round), secret}
		if round%5 == 0 { // a reload that fails changes nothing
			p.Secrets = nil
		}
		if err := s.SetPolicy(p); (err != nil) != (round%5 == 0) {
			t.Fatalf("policy %d: %v", round, err)
		}
		everyone(round)
	}
	st := s.Stats()
	if st.Allocations["udp"] != 200 || st.Allocations["tls"] != 50 {
		t.Errorf("allocations %v, want 200 over UDP and 50 over TLS", st.Allocations)
	}
	eventually(t, "250 times 21 datagrams are counted each way", func() bool {
		st := s.Stats()
		return st.UpPackets == 250*21 && st.DownPackets == 250*21
	})
}
