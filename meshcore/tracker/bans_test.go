package tracker

import (
	"slices"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// introduce makes peers of the swarm and has each of the others told of one of them by the
// answer to its announce.
func introduce(d *driver, one wire.PeerID, others ...wire.PeerID) {
	d.t.Helper()
	d.join(one, Facts{})
	d.announce(one, live(0))
	for _, p := range others {
		d.join(p, Facts{})
		if !knows(d.announce(p, live(signal.MaxPeers)), one) {
			d.t.Fatalf("%v was not told of %v", p, one)
		}
	}
}

// knows reports whether an answer tells of a peer.
func knows(m *signal.Message, p wire.PeerID) bool {
	return slices.ContainsFunc(m.Peers, func(i signal.PeerInfo) bool { return i.ID == p })
}

func complaint(of wire.PeerID) signal.Message {
	segment := wire.SegmentID(1)
	return signal.Message{Type: signal.Complain, Peer: &of, Segment: &segment, Reason: "digest"}
}

// TestEvidenceBans: a peer that is convicted is closed, all who know it drop it, and it
// does not come back.
func TestEvidenceBans(t *testing.T) {
	d := newDriver(t, Config{})
	introduce(d, 1, 2, 3, 4)
	out := d.step(Input{Kind: Convicted, Peer: 1})
	var kinds []Kind
	for _, e := range out {
		if e.Kind != Send {
			kinds = append(kinds, e.Kind)
			if e.Peer != 1 {
				t.Errorf("effect %d on %v", e.Kind, e.Peer)
			}
		}
	}
	if len(kinds) != 2 || kinds[0] != Ban || kinds[1] != Close || closed(out)[1] != "banned" {
		t.Errorf("effects %v, want Ban, then Close", kinds)
	}
	for p := wire.PeerID(2); p <= 4; p++ {
		if m := sends(out, p, signal.Drop); len(m) != 1 || *m[0].Peer != 1 || m[0].Reason != "banned" {
			t.Errorf("%v was not told to drop it: %+v", p, m)
		}
	}
	if d.s.Has(1) || d.s.Stats().Banned != 1 || !d.s.Banned(1) || d.s.Banned(2) {
		t.Error("it is still there")
	}
	if out := d.join(1, Facts{}); closed(out)[1] != "banned" || d.s.Has(1) {
		t.Errorf("it came back: %+v", out)
	}
	if out := d.receive(1, complaint(2)); len(out) != 0 {
		t.Errorf("it is still listened to: %+v", out)
	}
	if out := d.step(Input{Kind: Convicted, Peer: 1}); len(out) != 0 {
		t.Errorf("it is convicted twice: %+v", out)
	}
}

// TestLeavingIsNoWayOut: a peer that has left before the evidence came is banned, too.
func TestLeavingIsNoWayOut(t *testing.T) {
	d := newDriver(t, Config{})
	introduce(d, 1, 2)
	d.leave(1)
	out := d.step(Input{Kind: Convicted, Peer: 1})
	if len(sends(out, 2, signal.Drop)) != 1 || !slices.ContainsFunc(out, func(e Effect) bool { return e.Kind == Ban && e.Peer == 1 }) {
		t.Errorf("effects %+v, want a drop for who knew it, and a ban", out)
	}
	if out := d.join(1, Facts{}); closed(out)[1] != "banned" {
		t.Error("it came back")
	}
}

// TestComplaintsKeepApart: a complaint without evidence has no effect but that the two do
// not meet again, and nobody carries a message from one to the other.
func TestComplaintsKeepApart(t *testing.T) {
	d := newDriver(t, Config{})
	introduce(d, 1, 2, 3)
	if out := d.receive(2, complaint(1)); len(out) != 0 {
		t.Fatalf("a complaint has an effect: %+v", out)
	}
	if knows(d.announce(2, live(signal.MaxPeers)), 1) || knows(d.announce(1, live(signal.MaxPeers)), 2) {
		t.Error("the two are introduced again")
	}
	if !knows(d.announce(3, live(signal.MaxPeers)), 1) {
		t.Error("another is not told of who was complained of")
	}
	to := wire.PeerID(1)
	out := d.receive(2, signal.Message{Type: signal.Offer, To: &to, Connection: "c", SDP: "v=0"})
	if len(sends(out, 1, signal.Offer)) != 0 {
		t.Error("an offer reaches who was complained of")
	}
	for of := wire.PeerID(100); of < 100+2*maxApart; of++ {
		d.receive(2, complaint(of))
	}
	if n := len(d.s.members[2].complained); n != maxApart {
		t.Errorf("a member is kept apart from %d peers, want %d at most", n, maxApart)
	}
}

// TestColludingAccusers: in a swarm of 1,000 a hundred that collude complain of all
// others, each of each, again and again. Nobody is banned, and the others meet as before.
func TestColludingAccusers(t *testing.T) {
	const all, colluders = 1000, 100
	d := newDriver(t, Config{Burst: 1e9})
	for p := wire.PeerID(1); p <= all; p++ {
		d.join(p, Facts{})
		d.announce(p, live(8))
	}
	for range 2 {
		for by := wire.PeerID(1); by <= colluders; by++ {
			for of := wire.PeerID(colluders + 1); of <= all; of++ {
				if out := d.receive(by, complaint(of)); len(out) != 0 {
					t.Fatalf("a complaint of %v about %v has an effect: %+v", by, of, out)
				}
			}
		}
	}
	for p := wire.PeerID(colluders + 1); p <= all; p++ {
		if n := len(d.announce(p, live(8)).Peers); n != 8 {
			t.Fatalf("%v got %d peers, want 8", p, n)
		}
	}
	if st := d.s.Stats(); st.Banned != 0 || st.Peers != all {
		t.Errorf("%d are banned and %d are there, want 0 and %d", st.Banned, st.Peers, all)
	}
}
