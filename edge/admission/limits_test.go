package admission

import (
	"net/netip"
	"testing"
	"time"
)

// TestSourceLimiter: the burst, the rate, and the bound on its memory.
func TestSourceLimiter(t *testing.T) {
	var l sourceLimiter
	a := netip.MustParseAddr("192.0.2.1")
	now := time.Unix(0, 0)
	for i := range sessionBurst {
		if _, ok := l.allow(a, now); !ok {
			t.Fatalf("refused after %d of %d", i, sessionBurst)
		}
	}
	wait, ok := l.allow(a, now)
	if ok || wait <= 0 || wait > time.Second/sessionRate {
		t.Errorf("beyond the burst: %v, wait %s", ok, wait)
	}
	if _, ok := l.allow(netip.MustParseAddr("192.0.2.2"), now); !ok {
		t.Error("another address is refused")
	}
	if _, ok := l.allow(a, now.Add(wait)); !ok {
		t.Error("refused after the wait that was told")
	}
	for i := range maxSources + 10 {
		l.allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now.Add(time.Hour))
	}
	if n := l.buckets.Len(); n > maxSources {
		t.Errorf("%d addresses are remembered, at most %d are allowed", n, maxSources)
	}
}
