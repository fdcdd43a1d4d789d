package sim

import (
	"fmt"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestNeverAbovePlain: whoever of eight is behind which NAT, the origin and the relay
// together send no more than the origin alone would, and peers save more than half where
// anybody has direct neighbors. What a relay carries is no saving.
func TestNeverAbovePlain(t *testing.T) {
	for seed := range uint64(8) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			sc := small(t, "mixed-8", 8, 2)
			sc.Seed = seed
			direct := 0
			w := newWorld(sc, Mesh)
			for _, a := range w.nodes {
				for _, b := range w.nodes {
					if a != b && reach(a.nat, b.nat) {
						direct++
						break
					}
				}
			}
			r, plain := Run(sc, Mesh, Options{}), Run(sc, OriginOnly, Options{})
			t.Logf("%d of 8 have somebody to reach: offload %.3f, saving %.3f, sent %.3f of plain", direct, r.Offload, r.Saving,
				float64(r.OriginBytes+r.RelayedBytes)/float64(plain.OriginBytes))
			if r.OriginBytes+r.RelayedBytes > plain.OriginBytes {
				t.Errorf("the origin sent %d bytes and the relay %d, plain playback takes %d", r.OriginBytes, r.RelayedBytes, plain.OriginBytes)
			}
			if direct == 8 && r.Saving < 0.5 {
				t.Errorf("%.3f is saved, although everybody has somebody to reach", r.Saving)
			}
			if r.RelayedBytes == 0 && direct < 8 {
				t.Error("nothing went over the relay, although somebody has nobody else")
			}
		})
	}
}

// TestDeadPaths: what is sent on a dead path comes when it is back, in order, and the
// connection is the same, unless drivers have given it up meanwhile.
func TestDeadPaths(t *testing.T) {
	for _, c := range []struct {
		back float64
		want map[string]time.Duration
	}{
		{4, map[string]time.Duration{"receive ping": 4 * time.Second, "receive pong": 4 * time.Second}},
		{20, map[string]time.Duration{"down": 9 * time.Second}},
	} {
		w, s := bench(t, func(sc *Scenario) { sc.Viewers, sc.DeadAfterS, sc.PathsBackS = 2, 9, c.back })
		connected(w, 0, 1)
		w.before(pathsDie)
		w.do(1, peer.Effect{Kind: peer.Send, Peer: peerID(0), Message: wire.Message{Type: wire.Ping}})
		w.do(1, peer.Effect{Kind: peer.Send, Peer: peerID(0), Message: wire.Message{Type: wire.Pong}})
		w.run(Options{})
		s[0].wantSteps(t, c.want)
		if last := len(s[0].lines) - 1; c.back == 4 && s[0].lines[last] != "receive pong" {
			t.Errorf("in another order: %v", s[0].lines)
		}
	}
}
