package tracker

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

func TestIntroductionsStayWithinTheScope(t *testing.T) {
	d := newDriver(t, Config{})
	scope := map[wire.PeerID]string{}
	for p := wire.PeerID(1); p <= 60; p++ {
		scope[p] = []string{"/a/", "/b/", ""}[p%3]
		d.join(p, Facts{Scope: scope[p]})
		d.announce(p, live(0))
	}
	for p := range wire.PeerID(61) {
		if p == 0 {
			continue
		}
		ids := told(d.announce(p, live(10)))
		if len(ids) != 10 {
			t.Errorf("%v was told of %d, and 19 others share its scope", p, len(ids))
		}
		for _, o := range ids {
			if scope[o] != scope[p] {
				t.Errorf("%v of scope %q was told of %v of scope %q", p, scope[p], o, scope[o])
			}
		}
	}
}

func TestWhoHasNotAnnouncedIsNotTold(t *testing.T) {
	d := newDriver(t, Config{})
	d.join(1, Facts{})
	d.join(2, Facts{})
	if ids := told(d.announce(1, live(10))); len(ids) != 0 {
		t.Errorf("told of %v, of which nothing is known yet", ids)
	}
	if ids := told(d.announce(2, live(10))); !slices.Equal(ids, []wire.PeerID{1}) {
		t.Errorf("told of %v, want 1", ids)
	}
}

func TestWhoTakesOnlyMeetsWhoGives(t *testing.T) {
	for name, quiet := range map[string]struct {
		f Facts
		a signal.Announcement
	}{
		"by its pass":         {Facts{ReceiveOnly: true}, signal.Announcement{Rendition: "v0", Live: true, Want: 10, Upload: true}},
		"by its announcement": {Facts{}, signal.Announcement{Rendition: "v0", Live: true, Want: 10}},
	} {
		d := newDriver(t, Config{})
		for p := wire.PeerID(1); p <= 30; p++ {
			d.join(p, quiet.f)
			if m := d.announce(p, quiet.a); len(m.Peers) != 0 || m.Duty != nil {
				t.Fatalf("%s: two that only take were paired: %v, duty %v", name, told(m), m.Duty)
			}
		}
		d.join(100, Facts{})
		m := d.announce(100, live(10))
		if len(m.Peers) != 10 || m.Duty == nil {
			t.Errorf("%s: one that gives was told of %d, duty %v", name, len(m.Peers), m.Duty)
		}
		for _, i := range m.Peers {
			if i.Upload {
				t.Errorf("%s: %v is said to give", name, i.ID)
			}
		}
		d.join(101, quiet.f)
		if m := d.announce(101, quiet.a); !slices.Equal(told(m), []wire.PeerID{100}) || !m.Peers[0].Upload {
			t.Errorf("%s: one that only takes was told of %v, want 100", name, told(m))
		}
	}
}

// TestFewGivers: who only takes finds the givers also where they are few among
// many.
func TestFewGivers(t *testing.T) {
	d := newDriver(t, Config{})
	for p := wire.PeerID(1); p <= 2000; p++ {
		d.join(p, Facts{ReceiveOnly: p%100 != 0})
		d.announce(p, live(0))
	}
	for p := wire.PeerID(1); p <= 10; p++ {
		if ids := told(d.announce(p, live(8))); len(ids) != 8 {
			t.Errorf("%v was told of %d of 20 givers, want 8", p, len(ids))
		}
	}
}

func TestFailedPeersAreNotTold(t *testing.T) {
	for _, size := range []wire.PeerID{5, 30, 300} {
		d := newDriver(t, Config{})
		for p := wire.PeerID(1); p <= size; p++ {
			d.join(p, Facts{})
			d.announce(p, live(0))
		}
		a := live(4)
		for p := wire.PeerID(2); p <= min(size, 60); p += 2 {
			a.Failed = append(a.Failed, p)
		}
		for range 50 {
			d.now += time.Second
			for _, o := range told(d.announce(1, a)) {
				if slices.Contains(a.Failed, o) {
					t.Errorf("swarm of %d: told of %v, to which it could not connect", size, o)
				}
			}
		}
	}
}

func TestTheKnownComeAfterTheNew(t *testing.T) {
	d := newDriver(t, Config{})
	for p := wire.PeerID(1); p <= 41; p++ {
		d.join(p, Facts{})
		d.announce(p, live(0))
	}
	seen := map[wire.PeerID]bool{}
	for range 4 {
		for _, o := range told(d.announce(1, live(10))) {
			if seen[o] {
				t.Errorf("told of %v again while others were new", o)
			}
			seen[o] = true
		}
	}
	if len(seen) != 40 {
		t.Fatalf("told of %d in four answers of ten, want 40", len(seen))
	}
	// It asks once more: its neighbors went, or it moved to another network.
	if ids := told(d.announce(1, live(10))); len(ids) != 10 {
		t.Errorf("once it was told of all, it was told of %d more, want the 10 of longest ago", len(ids))
	}
	// To be introduced to somebody is to know it, whoever asked.
	d = newDriver(t, Config{})
	for p := wire.PeerID(1); p <= 3; p++ {
		d.join(p, Facts{})
	}
	d.announce(1, live(0))
	if ids := told(d.announce(2, live(1))); !slices.Equal(ids, []wire.PeerID{1}) {
		t.Fatalf("told of %v, want 1", ids)
	}
	d.announce(3, live(0))
	if ids := told(d.announce(1, live(1))); !slices.Equal(ids, []wire.PeerID{3}) {
		t.Errorf("told of %v, want 3: 2 has been told of it and will send an offer", ids)
	}
}

// TestFullPeers: a peer with MaxNeighbors is left alone, and so is one to which
// that many were just sent.
func TestFullPeers(t *testing.T) {
	d := newDriver(t, Config{MaxNeighbors: 8})
	d.join(1, Facts{})
	full := live(0)
	full.Neighbors = 8
	d.announce(1, full)
	d.join(2, Facts{})
	if ids := told(d.announce(2, live(5))); len(ids) != 0 {
		t.Errorf("told of %v, which is full", ids)
	}
	full.Neighbors = 5
	d.announce(1, full)
	sent := 0
	for p := wire.PeerID(3); p <= 20; p++ {
		d.join(p, Facts{})
		a := live(50)
		a.Neighbors = 8 // so that only peer 1 is in question
		for _, o := range told(d.announce(p, a)) {
			if o == 1 {
				sent++
			}
		}
	}
	if sent != 3 {
		t.Errorf("%d were sent to a peer with room for 3", sent)
	}
}

// TestSmallSwarmDoesNotFillUp: in a swarm where all know all, an hour of announces
// leaves everybody open for the next one.
func TestSmallSwarmDoesNotFillUp(t *testing.T) {
	d := newDriver(t, Config{})
	const n = 20
	for p := wire.PeerID(1); p <= n; p++ {
		d.join(p, Facts{})
	}
	for range 60 {
		d.wait(time.Minute)
		for p := wire.PeerID(1); p <= n; p++ {
			a := live(16)
			a.Neighbors = n - 1
			d.announce(p, a)
		}
	}
	d.join(99, Facts{})
	if ids := told(d.announce(99, live(16))); len(ids) != 16 {
		t.Errorf("after an hour a newcomer was told of %d of %d, want 16", len(ids), n)
	}
}

func TestMaxTold(t *testing.T) {
	d := newDriver(t, Config{MaxTold: 50, Silence: 24 * time.Hour, Burst: 1e6})
	for p := wire.PeerID(1); p <= 500; p++ {
		d.join(p, Facts{})
		d.announce(p, live(0))
	}
	seen := map[wire.PeerID]bool{}
	hour := func() int {
		before := len(seen)
		for range 59 {
			d.now += time.Minute
			for _, o := range told(d.announce(1, live(20))) {
				seen[o] = true
			}
		}
		return len(seen) - before
	}
	if n := hour(); n != 50 {
		t.Errorf("told of %d peers in an hour, want 50", n)
	}
	d.now += time.Minute
	if n := hour(); n < 40 || n > 50 {
		t.Errorf("told of %d more peers in the next hour, want 40 to 50", n)
	}
	// A small swarm is told again and again without using it up.
	d = newDriver(t, Config{MaxTold: 50})
	for p := wire.PeerID(1); p <= 10; p++ {
		d.join(p, Facts{})
		d.announce(p, live(0))
	}
	for i := range 100 {
		d.now += 10 * time.Second
		for p := wire.PeerID(2); p <= 10; p++ {
			d.announce(p, live(0))
		}
		if ids := told(d.announce(1, live(20))); len(ids) != 9 {
			t.Fatalf("announce %d: told of %d, want 9", i, len(ids))
		}
	}
}

// TestRenditionComesFirst, then locality.
func TestRenditionComesFirst(t *testing.T) {
	d := newDriver(t, Config{})
	rendition := map[wire.PeerID]string{}
	asn := map[wire.PeerID]uint32{}
	for p := wire.PeerID(1); p <= 80; p++ {
		a := live(0)
		rendition[p], asn[p] = []string{"v0", "v1"}[p%2], uint32(p/2%4+1)
		a.Rendition = rendition[p]
		d.join(p, Facts{ASN: asn[p]})
		d.announce(p, a)
	}
	d.join(100, Facts{ASN: 1})
	m := d.announce(100, live(8))
	for i, info := range m.Peers[:6] {
		if info.Rendition != "v0" || rendition[info.ID] != "v0" {
			t.Errorf("place %d is %v of rendition %s", i, info.ID, info.Rendition)
		}
		if asn[info.ID] != 1 {
			t.Errorf("place %d is %v of network %d, and there are ten in network 1", i, info.ID, asn[info.ID])
		}
	}
	// Alone in a rendition, it gets the others.
	a := live(8)
	a.Rendition = "v2"
	if m := d.announce(100, a); len(m.Peers) != 8 {
		t.Errorf("alone in its rendition it was told of %d, want 8", len(m.Peers))
	}
}

func TestPlayheadAheadComesFirst(t *testing.T) {
	d := newDriver(t, Config{})
	at := map[wire.PeerID]int64{}
	for p := wire.PeerID(1); p <= 40; p++ {
		at[p] = int64(p) * 60_000
		d.join(p, Facts{})
		d.announce(p, signal.Announcement{Rendition: "v0", PositionMS: at[p], Upload: true})
	}
	d.join(100, Facts{})
	m := d.announce(100, signal.Announcement{Rendition: "v0", PositionMS: 20 * 60_000, Upload: true, Want: 8})
	for i, info := range m.Peers[:6] {
		if ahead := at[info.ID] - 20*60_000; ahead < 0 || ahead > 10*60_000 {
			t.Errorf("place %d is %d s ahead", i, ahead/1000)
		}
	}
}

// TestQuarterAtRandom: of many answers, a quarter of the places goes to peers that
// were not the best, also where the answer is too short to be cut in four.
func TestQuarterAtRandom(t *testing.T) {
	for _, want := range []int{1, 2, 3, 8, 10} {
		d := newDriver(t, Config{Seed: uint64(want), MaxNeighbors: 1 << 30, MaxTold: 1 << 30, Burst: 1e9})
		near := map[wire.PeerID]bool{}
		for p := wire.PeerID(1); p <= 400; p++ {
			near[p] = p%10 == 0
			d.join(p, Facts{ASN: map[bool]uint32{true: 1, false: 2}[near[p]]})
			d.announce(p, live(0))
		}
		places, far := 0, 0
		for p := wire.PeerID(1000); p < 1250; p++ {
			d.join(p, Facts{ASN: 1})
			for _, o := range told(d.announce(p, live(want))) {
				places++
				if o <= 400 && !near[o] {
					far++
				}
			}
			d.leave(p)
		}
		// Of the others some are near as well.
		if share := float64(far) / float64(places); share < 0.12 || share > 0.27 {
			t.Errorf("answers of %d: %.2f of the places went to far peers, want 0.12 to 0.27", want, share)
		}
	}
}

// TestTheMeshIsConnected: 500 peers in ten regions prefer their own, and are one
// mesh nevertheless; if every answer were local it would be ten.
func TestTheMeshIsConnected(t *testing.T) {
	for seed := range uint64(3) {
		d := newDriver(t, Config{Seed: seed})
		region := map[wire.PeerID]int{}
		edges := map[wire.PeerID][]wire.PeerID{}
		local, all := 0, 0
		for p := wire.PeerID(1); p <= 500; p++ {
			region[p] = int(p*2654435761>>7) % 10
			d.now += 100 * time.Millisecond
			d.join(p, Facts{Region: fmt.Sprint("R", region[p])})
			for _, o := range told(d.announce(p, live(8))) {
				edges[p] = append(edges[p], o)
				edges[o] = append(edges[o], p)
				all++
				if region[o] == region[p] {
					local++
				}
			}
		}
		reached := map[wire.PeerID]bool{1: true}
		for queue := []wire.PeerID{1}; len(queue) > 0; queue = queue[1:] {
			for _, o := range edges[queue[0]] {
				if !reached[o] {
					reached[o] = true
					queue = append(queue, o)
				}
			}
		}
		if len(reached) != 500 {
			t.Errorf("seed %d: %d of 500 peers are connected", seed, len(reached))
		}
		if share := float64(local) / float64(all); share < 0.6 {
			t.Errorf("seed %d: %.2f of the introductions are local, want 0.6 at least", seed, share)
		}
	}
}

func BenchmarkAnnounce(b *testing.B) {
	for _, n := range []int{100, 10_000} {
		b.Run(fmt.Sprintf("swarm=%d", n), func(b *testing.B) {
			d := newDriver(b, Config{Burst: 1e12, MaxTold: 1 << 40, MaxNeighbors: 1 << 40, Silence: 1 << 60})
			for p := wire.PeerID(1); p <= wire.PeerID(n); p++ {
				d.join(p, Facts{ASN: uint32(p%50) + 1})
				d.announce(p, live(0))
			}
			msg := &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{}}
			*msg.Announcement = live(16)
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				i++
				d.now += time.Millisecond
				d.s.Step(d.now, Input{Kind: Receive, Peer: wire.PeerID(i%n) + 1, Message: msg})
			}
		})
	}
}

// TestWaitingIsNoWayAround: who asks for nobody and says that it has room is sent
// to no more others than it might be told of, in an hour; and who leaves and comes
// back has met whom it had met.
func TestWaitingIsNoWayAround(t *testing.T) {
	const most = 20
	d := newDriver(t, Config{MaxTold: 400, Silence: 24 * time.Hour})
	d.join(1, Facts{MaxTold: most})
	d.announce(1, live(0))
	next := wire.PeerID(2)
	sentTo := func() (n int) {
		for range 3 * most {
			d.join(next, Facts{})
			if slices.Contains(told(d.announce(next, live(signal.MaxPeers))), 1) {
				n++
			}
			next++
			d.announce(1, live(0)) // it has room still
		}
		return n
	}
	if n := sentTo(); n != most {
		t.Errorf("%d peers were told of it, want %d", n, most)
	}
	d.step(Input{Kind: Leave, Peer: 1})
	d.join(1, Facts{MaxTold: most})
	if m := d.announce(1, live(signal.MaxPeers)); len(m.Peers) != most {
		t.Errorf("it was told of %d, want %d", len(m.Peers), most)
	}
	d.step(Input{Kind: Leave, Peer: 1})
	d.join(1, Facts{MaxTold: most})
	if m := d.announce(1, live(signal.MaxPeers)); len(m.Peers) != 0 {
		t.Errorf("it came back and was told of %d more", len(m.Peers))
	}
	if n := sentTo(); n != 0 {
		t.Errorf("it came back, and %d more were told of it", n)
	}
	d.now += time.Hour
	d.join(1, Facts{MaxTold: most})
	if m := d.announce(1, live(signal.MaxPeers)); len(m.Peers) != most {
		t.Errorf("an hour later it was told of %d, want %d", len(m.Peers), most)
	}
}

// TestWhoConnectsDirectlyComesFirst: of equal candidates those are introduced that others
// reach without a relay; the others still are where there is nobody else.
func TestWhoConnectsDirectlyComesFirst(t *testing.T) {
	d := newDriver(t, Config{})
	const each = 40
	for i := range wire.PeerID(2 * each) {
		d.join(1+i, Facts{})
		a := live(0)
		a.Neighbors = 8
		if i >= each {
			a.Relayed = 7
		}
		d.announce(1+i, a)
	}
	direct, relayed := 0, 0
	for i := range wire.PeerID(20) {
		d.join(1000+i, Facts{})
		for _, p := range told(d.announce(1000+i, live(8))) {
			switch {
			case p > 2*each:
			case p <= each:
				direct++
			default:
				relayed++
			}
		}
		d.leave(1000 + i)
	}
	// A quarter is drawn at random, of which some half are relayed.
	if direct < 4*relayed || relayed == 0 {
		t.Errorf("%d introductions to peers that are reached directly, %d to others", direct, relayed)
	}
}

// TestEclipse: 300 sessions of one address, or of one network, do not surround a newcomer
// from elsewhere; who shares their address meets them, and where there is nobody else of
// other networks, one network serves.
func TestEclipse(t *testing.T) {
	for name, c := range map[string]struct {
		fake, honest func(i int) Facts
		newcomer     Facts
		most, least  int // of the fakes and the honest among 20
	}{
		"one address": {
			func(int) Facts { return Facts{Prefix: "a", Household: "a1"} },
			func(i int) Facts { return Facts{Prefix: fmt.Sprint("p", i), Household: fmt.Sprint("h", i)} },
			Facts{Prefix: "n", Household: "n1"}, 2, 16,
		},
		"one prefix, another address each": {
			func(i int) Facts { return Facts{Prefix: "a", Household: fmt.Sprint("a", i)} },
			func(i int) Facts { return Facts{Prefix: fmt.Sprint("p", i), Household: fmt.Sprint("h", i)} },
			Facts{Prefix: "n", Household: "n1"}, 2, 16,
		},
		"one network": {
			func(i int) Facts { return Facts{ASN: 64500, Prefix: fmt.Sprint("a", i)} },
			func(i int) Facts { return Facts{ASN: 64501 + uint32(i), Prefix: fmt.Sprint("p", i)} },
			Facts{ASN: 64499, Prefix: "n"}, 5, 15,
		},
		"nobody of another network": {
			func(i int) Facts { return Facts{ASN: 64500, Prefix: fmt.Sprint("a", i)} },
			nil, Facts{ASN: 64499, Prefix: "n"}, 20, 0,
		},
		"the own household": {
			func(int) Facts { return Facts{Prefix: "a", Household: "a1"} },
			nil, Facts{Prefix: "a", Household: "a1"}, 20, 0,
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDriver(t, Config{})
			for i := range 300 {
				d.join(wire.PeerID(1000+i), c.fake(i))
				d.announce(wire.PeerID(1000+i), live(0))
			}
			for i := range 20 {
				if c.honest != nil {
					d.join(wire.PeerID(1+i), c.honest(i))
					d.announce(wire.PeerID(1+i), live(0))
				}
			}
			d.join(500, c.newcomer)
			fakes, honest := 0, 0
			for _, id := range told(d.announce(500, live(20))) {
				if id >= 1000 {
					fakes++
				} else {
					honest++
				}
			}
			if fakes > c.most || honest < c.least || fakes+honest < min(c.most, 2) {
				t.Errorf("%d fakes and %d honest, want at most %d and at least %d", fakes, honest, c.most, c.least)
			}
		})
	}
}
