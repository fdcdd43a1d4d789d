package turnserver

import (
	"net/netip"
	"testing"
	"time"

	"github.com/pion/stun"
)

// allocateFor makes a signed Allocate and returns the relayed address and the token.
func allocateFor(t testing.TB, c *rawClient, attrs ...stun.Setter) (code int, relayed netip.AddrPort, token []byte) {
	t.Helper()
	c.challenge()
	answer := c.do(c.build(stun.MethodAllocate, append([]stun.Setter{wantUDP}, attrs...)...))
	if code = codeOf(t, answer); code != 0 {
		return code, relayed, nil
	}
	relayed, _ = xorAddress(mustGet(t, answer, stun.AttrXORRelayedAddress), answer.TransactionID)
	token, _ = answer.Get(stun.AttrReservationToken)
	return 0, relayed, token
}

func TestEvenPortAndTheNext(t *testing.T) {
	s := start(t, func(c *Config) { c.Policy.UserAllocations = 2 })
	server := listen(t, s, UDP)
	code, even, token := allocateFor(t, newRawClient(t, UDP, server, "a"), attr(attrEvenPort, 0x80))
	if code != 0 || even.Port()%2 != 0 || len(token) != 8 {
		t.Fatalf("code %d, port %d, token %x, want an even port and a token", code, even.Port(), token)
	}
	if code, _, _ := allocateFor(t, newRawClient(t, UDP, server, "a")); code != codeQuota {
		t.Errorf("the reserved port is not counted: code %d, want 486", code)
	}
	if code, _, _ := allocateFor(t, newRawClient(t, UDP, server, "thief"), attr(attrReservationToken, token...)); code != codeInsufficient {
		t.Errorf("another user's token: code %d, want 508", code)
	}
	code, odd, _ := allocateFor(t, newRawClient(t, UDP, server, "a"), attr(attrReservationToken, token...))
	if code != 0 || odd.Port() != even.Port()+1 {
		t.Errorf("code %d, port %d, want %d", code, odd.Port(), even.Port()+1)
	}
	if code, _, _ := allocateFor(t, newRawClient(t, UDP, server, "a"), attr(attrReservationToken, token...)); code != codeInsufficient {
		t.Errorf("a token used twice: code %d, want 508", code)
	}
	if u, _ := s.User("a"); u.Allocations != 2 {
		t.Errorf("%d allocations, want 2", u.Allocations)
	}
}

func TestEvenPort(t *testing.T) {
	s := start(t, nil)
	server := listen(t, s, UDP)
	for range 8 {
		if code, relayed, _ := allocateFor(t, newRawClient(t, UDP, server, "a"), attr(attrEvenPort, 0)); code != 0 || relayed.Port()%2 != 0 {
			t.Errorf("code %d, port %d, want an even one", code, relayed.Port())
		}
	}
	if u, _ := s.User("a"); u.Allocations != 8 {
		t.Errorf("%d allocations, want 8", u.Allocations)
	}
}

func TestReservationsEnd(t *testing.T) {
	s := start(t, func(c *Config) { c.Policy.UserAllocations = -1 })
	s.timeouts.reservation = 50 * time.Millisecond
	server := listen(t, s, UDP)
	c := newRawClient(t, UDP, server, "a")
	code, _, token := allocateFor(t, c, attr(attrEvenPort, 0x80))
	if code != 0 {
		t.Fatalf("code %d", code)
	}
	eventually(t, "the reservation is given back", func() bool {
		u, _ := s.User("a")
		return u.Allocations == 1
	})
	if code, _, _ := allocateFor(t, newRawClient(t, UDP, server, "a"), attr(attrReservationToken, token...)); code != codeInsufficient {
		t.Errorf("an old token: code %d, want 508", code)
	}
}

func TestReservationsEndWithTheServer(t *testing.T) {
	s := start(t, nil)
	if code, _, _ := allocateFor(t, newRawClient(t, UDP, listen(t, s, UDP), "b"), attr(attrEvenPort, 0x80)); code != 0 {
		t.Fatalf("code %d", code)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if u, _ := s.User("b"); u.Allocations != 0 {
		t.Errorf("%d allocations are held by a closed server", u.Allocations)
	}
}
