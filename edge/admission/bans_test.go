package admission

import (
	"net/netip"
	"testing"
	"time"
)

// TestBanEnds: a ban lasts for ten minutes.
func TestBanEnds(t *testing.T) {
	var b bans
	now := time.Unix(1_700_000_000, 0)
	who, addr := Viewer{1}, sourceOf(netip.MustParseAddr("2001:db8::1"))
	b.add(who, addr, now)
	b.add(Viewer{}, addr, now)
	for _, c := range []struct {
		after time.Duration
		holds bool
	}{{0, true}, {banTime - 1, true}, {banTime, false}} {
		at := now.Add(c.after)
		if b.refuses(who, at) != c.holds || b.silences(Viewer{}, sourceOf(netip.MustParseAddr("2001:db8::ffff")), at) != c.holds {
			t.Errorf("%v after: refuses %v, silences %v, want %v", c.after, b.refuses(who, at), b.silences(Viewer{}, addr, at), c.holds)
		}
	}
	if b.refuses(Viewer{2}, now) || b.silences(who, addr, now) || b.refuses(Viewer{}, now) {
		t.Error("it holds others too")
	}
}
