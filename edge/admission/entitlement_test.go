package admission

import (
	"fmt"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

func TestIntersect(t *testing.T) {
	for _, c := range []struct{ a, b, want []string }{
		{[]string{"/live/"}, []string{"/"}, []string{"/live/"}},
		{[]string{"/live/", "/live/v0/"}, []string{"/live/v0/"}, []string{"/live/v0/"}},
		{[]string{"/live/"}, []string{"/vod/"}, nil},
		{[]string{"/live/"}, []string{"/liv"}, nil},
	} {
		if got := intersect(c.a, c.b); fmt.Sprint(got) != fmt.Sprint(c.want) {
			t.Errorf("%v and %v: %v, want %v", c.a, c.b, got, c.want)
		}
	}
}

// TestEntitlementsAreBounded: what sessions stand on is forgotten with its token,
// and never grows beyond its bound.
func TestEntitlementsAreBounded(t *testing.T) {
	var m entitlements
	now := time.Unix(1_700_000_000, 0)
	for i := range maxEntitled {
		m.put(wire.PeerID(i+1), entitlement{until: now.Add(time.Minute)}, now)
	}
	if m.put(1<<40, entitlement{until: now.Add(time.Hour)}, now) {
		t.Error("one more than there is room for")
	}
	later := now.Add(time.Minute)
	if _, ok := m.get(7, later); ok {
		t.Error("a dead token is still remembered")
	}
	m.put(1<<40, entitlement{until: later.Add(time.Hour)}, later)
	if !m.put(1<<41, entitlement{until: later.Add(time.Hour)}, later) || len(m.of) != 2 {
		t.Errorf("%d are left after all died", len(m.of))
	}
}
