package lab

import (
	"testing"
	"time"
)

// TestMixedSwarm: of eight behind all kinds of routers, those who reach somebody directly
// take from them, and the edge and its relay together send well below what they would
// without the mesh, by the edge's own count.
func TestMixedSwarm(t *testing.T) {
	l := New(t)
	e := l.Edge(EdgeConfig{Relay: Relay3478})
	kinds := []Kind{Public, FullCone, PortPreserving, PortPreserving, PortPreserving, Symmetric, Symmetric, CGNAT}
	var peers []*Peer
	for _, k := range kinds {
		peers = append(peers, l.Host(k).Peer(e, ""))
	}
	const enough = 1 << 20 // bytes that each has played
	for i, p := range peers {
		if _, ok := p.Until(90*time.Second, func(s State) bool { return s.PeerBytes+s.OriginBytes > enough }); !ok {
			t.Fatalf("the %s viewer does not play: %+v", kinds[i], p.State())
		}
	}
	segments, relayed := e.Sent()
	var plain int64
	for i, p := range peers {
		s := p.State()
		plain += s.PeerBytes + s.OriginBytes
		direct := 0
		for _, path := range s.Paths {
			if path.Closed || path.Local == "relay" || path.Remote == "relay" {
				continue
			}
			direct++
			if path.RemoteAddress == v4(1, 2) {
				t.Errorf("the %s viewer takes a path over the relay for a direct one: %s", kinds[i], path)
			}
		}
		t.Logf("%-16s %d neighbors, %d direct; from peers %d, over a relay %d, from the origin %d bytes; stalled %d ms",
			kinds[i], s.Neighbors, direct, s.PeerBytes, s.RelayedBytes, s.OriginBytes, s.StallMS)
		if direct > 2 && 3*s.RelayedBytes > s.PeerBytes {
			t.Errorf("the %s viewer has %d direct neighbors, and %d of %d bytes came over a relay", kinds[i], direct, s.RelayedBytes, s.PeerBytes)
		}
	}
	t.Logf("the edge sent %d bytes of segments, and its relay passed on %d: %.0f %% of %d", segments, relayed, 100*float64(segments+relayed)/float64(plain), plain)
	if segments+relayed > plain*3/4 {
		t.Errorf("the edge and its relay sent %d and %d bytes, without the mesh it is %d", segments, relayed, plain)
	}
	if relayed == 0 {
		t.Error("nothing went over the relay: that shows nothing")
	}
}
