package tracker

import (
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestScarce: all members learn at once how long a segment waits at the origin, with their
// duty, and who comes or asks later learns it, too.
func TestScarce(t *testing.T) {
	d := newDriver(t, Config{})
	for p := wire.PeerID(1); p <= 3; p++ {
		d.join(p, Facts{})
		d.receive(p, signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Live: true, Upload: true}})
	}
	d.wait(time.Second)
	waits := func(out []Effect, p wire.PeerID, want int64) {
		t.Helper()
		m := sends(out, p, signal.Peers)
		if len(m) != 1 || m[0].OriginWaitMS != want || m[0].Duty == nil || m[0].SwarmSize != 3 {
			t.Errorf("peer %d gets %+v, want one message with a wait of %d ms", p, m, want)
		}
	}
	out := d.step(Input{Kind: Scarce, Wait: 1500 * time.Millisecond})
	for p := wire.PeerID(1); p <= 3; p++ {
		waits(out, p, 1500)
	}
	waits(d.receive(2, signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Live: true, Upload: true, Want: 8}}), 2, 1500)
	waits(d.step(Input{Kind: Scarce}), 1, 0)
}
