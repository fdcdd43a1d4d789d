package tracker

import (
	"fmt"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestAskingAgainIsNoWayIn: of all that a newcomer remembers after asking again and again a quarter
// is of one foreign prefix, whatever share of the swarm that has. Those of it that have left or
// failed are replaced.
func TestAskingAgainIsNoWayIn(t *testing.T) {
	const fakes, honest = 300, 60
	join := func(d *driver) {
		for i := range wire.PeerID(fakes) {
			d.join(1000+i, Facts{Prefix: "a", Household: fmt.Sprint("a", i)})
			d.announce(1000+i, live(0))
		}
		for i := range wire.PeerID(honest) {
			d.join(1+i, Facts{Prefix: fmt.Sprint("p", i)})
			d.announce(1+i, live(0))
		}
		d.join(500, Facts{Prefix: "n", Household: "n1"})
	}
	t.Run("asking", func(t *testing.T) {
		d := newDriver(t, Config{})
		join(d)
		met := map[wire.PeerID]bool{}
		for range maxKnown / 8 {
			for _, id := range told(d.announce(500, live(8))) {
				met[id] = true
			}
		}
		bad := 0
		for id := range met {
			if id >= 1000 {
				bad++
			}
		}
		if bad > maxKnown/4 || len(met)-bad < maxKnown/2 {
			t.Errorf("it has met %d fakes and %d others", bad, len(met)-bad)
		}
	})
	t.Run("who left is replaced", func(t *testing.T) {
		d := newDriver(t, Config{})
		join(d)
		for i := range wire.PeerID(honest) {
			d.leave(1 + i)
		}
		for round := range 5 {
			ids := told(d.announce(500, live(8)))
			if len(ids) != maxOfPrefix {
				t.Fatalf("round %d: told of %d", round, len(ids))
			}
			for _, id := range ids {
				d.leave(id)
			}
		}
		failed := live(8)
		failed.Failed = told(d.announce(500, live(8)))
		if ids := told(d.announce(500, failed)); len(ids) != maxOfPrefix {
			t.Errorf("after two that failed it is told of %d", len(ids))
		}
	})
	t.Run("the own prefix, where there is no other", func(t *testing.T) {
		d := newDriver(t, Config{})
		join(d)
		d.join(501, Facts{Prefix: "a", Household: "other"})
		for i := range wire.PeerID(honest) {
			d.leave(1 + i)
		}
		met := map[wire.PeerID]bool{}
		for range 5 {
			for _, id := range told(d.announce(501, live(8))) {
				met[id] = true
			}
		}
		if len(met) != 5*maxOfPrefix {
			t.Errorf("a campus of one prefix: met %d in five answers", len(met))
		}
	})
}
