package tracker

import (
	"fmt"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestOneComponent: 10,000 peers of 50 networks, some of them large and some small, are
// introduced mostly to their own network, and still make up one mesh.
func TestOneComponent(t *testing.T) {
	const peers, networks = 10_000, 50
	d := newDriver(t, Config{})
	asn := func(p wire.PeerID) uint32 { // a few are large, most are small
		x := float64((uint64(p)*2654435761)%peers) / peers
		return 64500 + uint32(x*x*networks)
	}
	component := make([]wire.PeerID, peers+1)
	var root func(wire.PeerID) wire.PeerID
	root = func(p wire.PeerID) wire.PeerID {
		if component[p] != p {
			component[p] = root(component[p])
		}
		return component[p]
	}
	for p := wire.PeerID(1); p <= peers; p++ {
		component[p] = p
		n := asn(p)
		d.join(p, Facts{ASN: n, Region: fmt.Sprint("R", n%7), Prefix: fmt.Sprint(n, "/", uint64(p)%40)})
		d.announce(p, live(0))
	}
	own, all := 0, 0
	d.now += time.Second
	for p := wire.PeerID(1); p <= peers; p++ {
		for _, o := range told(d.announce(p, live(8))) {
			component[root(p)] = root(o)
			if all++; asn(p) == asn(o) {
				own++
			}
		}
	}
	parts := map[wire.PeerID]int{}
	for p := wire.PeerID(1); p <= peers; p++ {
		parts[root(p)]++
	}
	if len(parts) != 1 {
		t.Errorf("the mesh falls into %d parts", len(parts))
	}
	share := float64(own) / float64(all)
	t.Logf("%.2f of %d introductions are to the own network", share, all)
	if share < 0.6 || share > 0.9 {
		t.Errorf("%.2f of introductions are to the own network, want three quarters, about", share)
	}
}

// TestNearestFirst: the score puts the own household before the own prefix, that before the
// own network, and that before the own region and country.
func TestNearestFirst(t *testing.T) {
	me := Facts{Household: "203.0.113.7", Prefix: "203.0.113.0/24", ASN: 174, Region: "DE-BE", Country: "DE"}
	near := []Facts{
		me,
		{Household: "203.0.113.8", Prefix: me.Prefix, ASN: 174, Region: "DE-BE", Country: "DE"},
		{Household: "198.51.100.8", Prefix: "198.51.100.0/24", ASN: 174, Region: "FR-IDF", Country: "FR"},
		{Household: "192.0.2.8", Prefix: "192.0.2.0/24", ASN: 3320, Region: "DE-BE", Country: "DE"},
		{Household: "192.0.2.9", Prefix: "192.0.2.0/24", ASN: 3320, Region: "DE-BY", Country: "DE"},
		{Household: "192.0.2.10", Prefix: "192.0.2.0/24", ASN: 3321, Region: "FR-IDF", Country: "FR"},
	}
	mine := me.Place()
	for i := range near[1:] {
		a, b := near[i].Place(), near[i+1].Place()
		if mine.Locality(&a) <= mine.Locality(&b) {
			t.Errorf("%+v scores %v, and %+v, which is farther, %v", near[i], mine.Locality(&a), near[i+1], mine.Locality(&b))
		}
	}
	if unknown := (&Facts{}).Place(); unknown.Locality(&unknown) != 0 {
		t.Error("two of whom nothing is known are near each other")
	}
}

// TestAloneAndTooFew: who is alone is told of nobody and to nobody; below MinViewers all are.
func TestAloneAndTooFew(t *testing.T) {
	d := newDriver(t, Config{})
	d.join(1, Facts{Alone: true})
	d.join(2, Facts{})
	d.join(3, Facts{})
	for p := wire.PeerID(1); p <= 3; p++ {
		d.announce(p, live(0))
	}
	if m := d.announce(1, live(8)); len(m.Peers) != 0 || m.SwarmSize != 1 || m.Duty == nil || m.Duty.Of != 1 {
		t.Errorf("who is alone is told of %v, a swarm of %d, duty %+v", told(m), m.SwarmSize, m.Duty)
	}
	if ids := told(d.announce(2, live(8))); len(ids) != 1 || ids[0] != 3 {
		t.Errorf("2 is told of %v, want 3", ids)
	}
	if st := d.s.Stats(); st.Alone != 1 || st.Uploaders != 2 {
		t.Errorf("%d alone, %d give", st.Alone, st.Uploaders)
	}
}
