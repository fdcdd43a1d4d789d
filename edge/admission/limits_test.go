package admission

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// TestSourceLimiter: the burst, the rate, and the bound on its memory.
func TestSourceLimiter(t *testing.T) {
	var l sourceLimiter
	a := netip.MustParseAddr("192.0.2.1")
	now := time.Unix(0, 0)
	for i := range sessionBurst {
		if _, _, ok := l.allow(a, now); !ok {
			t.Fatalf("refused after %d of %d", i, sessionBurst)
		}
	}
	wait, _, ok := l.allow(a, now)
	if ok || wait <= 0 || wait > time.Second/sessionRate {
		t.Errorf("beyond the burst: %v, wait %s", ok, wait)
	}
	if _, _, ok := l.allow(netip.MustParseAddr("192.0.2.2"), now); !ok {
		t.Error("another address is refused")
	}
	if _, _, ok := l.allow(a, now.Add(wait)); !ok {
		t.Error("refused after the wait that was told")
	}
	for i := range maxSources + 10 {
		l.allow(netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)}), now.Add(time.Hour))
	}
	if n := l.buckets.Len(); n > maxSources {
		t.Errorf("%d addresses are remembered, at most %d are allowed", n, maxSources)
	}
}

// TestRefusalsAreSaid: refusals are counted, said once a minute, and with a hint at
// trusted_proxies where all requests come from one address. Requests without an
// address are nobody's in particular.
func TestRefusalsAreSaid(t *testing.T) {
	core, logs := observer.New(zap.WarnLevel)
	var addr netip.Addr
	now := time.Unix(1_700_000_000, 0)
	c := NewControl(Config{Log: zap.New(core), Now: func() time.Time { return now }, Server: Server{
		ClientAddr: func(*http.Request) netip.Addr { return addr },
	}})
	r := httptest.NewRequest(http.MethodPost, "/mesh/session", nil)
	flood := func() (refused int64) {
		for range sessionBurst + 10 {
			if _, ok := c.Allow(r); !ok {
				refused++
			}
		}
		return refused
	}
	if flood() != 0 || logs.Len() != 1 || !strings.Contains(logs.TakeAll()[0].Message, "trusted_proxies_unix") {
		t.Errorf("requests without address: %d refused, %v", c.Limited(), logs.All())
	}
	addr = netip.MustParseAddr("192.0.2.1")
	if n := flood(); n != 10 || c.Limited() != n {
		t.Errorf("%d refused, %d counted", n, c.Limited())
	}
	lines := logs.TakeAll()
	if len(lines) != 1 || !strings.Contains(lines[0].ContextMap()["hint"].(string), "trusted_proxies") {
		t.Fatalf("said %v", lines)
	}
	addr = netip.MustParseAddr("192.0.2.2")
	flood()
	if logs.Len() != 0 {
		t.Errorf("said again within a minute: %v", logs.All())
	}
	now = now.Add(logRefusals)
	flood()
	lines = logs.TakeAll()
	if len(lines) != 1 || lines[0].ContextMap()["hint"] != nil || lines[0].ContextMap()["addresses"] != int64(2) {
		t.Errorf("of two addresses it said %v", lines)
	}
}

// TestNoAddressIsNobody: viewers behind a unix socket are not one viewer.
func TestNoAddressIsNobody(t *testing.T) {
	var b bans
	now := time.Unix(1_700_000_000, 0)
	b.add(Viewer{}, netip.Addr{}, now)
	if b.silences(Viewer{}, netip.Addr{}, now) {
		t.Error("one ban silences all")
	}
	if prefixOf(netip.Addr{}) != "" {
		t.Error("they are on one network")
	}
}
