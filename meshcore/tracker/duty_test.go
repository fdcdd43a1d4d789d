package tracker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// fetches is the rule of signal.Duty.
func fetches(d *signal.Duty, sequence int) bool {
	return ((d.Rank-sequence*d.Fetchers)%d.Of+d.Of)%d.Of < d.Fetchers
}

// duties follows what members were told of their duty.
type duties map[wire.PeerID]*signal.Duty

func (l duties) take(out []Effect) {
	for _, e := range out {
		if e.Message != nil && e.Message.Type == signal.Peers {
			l[e.Peer] = e.Message.Duty
		}
	}
}

// TestDuties lets peers come, go, switch, stop and start giving, and come back
// elsewhere, at random. Whenever it has been quiet for Settle, the duties that the
// peers of a small rendition were told of rotate evenly.
func TestDuties(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint("seed=", seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 7))
			d := newDriver(t, Config{Seed: seed, Silence: time.Hour, Fetchers: func(n int) int { return 1 + n/8 }})
			has, ann, facts := duties{}, map[wire.PeerID]signal.Announcement{}, map[wire.PeerID]Facts{}
			var here []wire.PeerID
			next := wire.PeerID(1)
			someone := func() wire.PeerID { return here[rng.IntN(len(here))] }
			randomFacts := func() Facts {
				return Facts{ASN: uint32(rng.IntN(3)), Region: fmt.Sprint(rng.IntN(3)), ReceiveOnly: rng.IntN(6) == 0}
			}
			for range 400 {
				d.now += time.Duration(rng.IntN(200)) * time.Millisecond
				switch k := rng.IntN(10); {
				case k < 3 || len(here) < 5:
					facts[next] = randomFacts()
					has.take(d.join(next, facts[next]))
					here = append(here, next)
					next++
				case k == 3:
					i := rng.IntN(len(here))
					has.take(d.leave(here[i]))
					delete(has, here[i])
					delete(ann, here[i])
					here = append(here[:i], here[i+1:]...)
				case k == 4:
					p := someone()
					facts[p] = randomFacts()
					has.take(d.join(p, facts[p]))
				default:
					p := someone()
					ann[p] = signal.Announcement{Rendition: fmt.Sprint("v", rng.IntN(3)), Live: true, Want: rng.IntN(6), Upload: rng.IntN(4) > 0}
					a := ann[p]
					out := d.receive(p, signal.Message{Type: signal.Announce, Announcement: &a})
					has.take(out)
				}
				if rng.IntN(8) == 0 {
					has.take(d.wait(time.Second))
					checkDuties(t, has, ann, facts)
				}
			}
		})
	}
}

func checkDuties(t *testing.T, has duties, ann map[wire.PeerID]signal.Announcement, facts map[wire.PeerID]Facts) {
	t.Helper()
	byRendition := map[string][]*signal.Duty{}
	for p, a := range ann {
		if !a.Upload || facts[p].ReceiveOnly {
			continue // it may still hold one from before; its next answer takes it away
		}
		if has[p] == nil {
			t.Fatalf("%v gives and has no duty", p)
		}
		byRendition[a.Rendition] = append(byRendition[a.Rendition], has[p])
	}
	for r, list := range byRendition {
		n := len(list)
		turns := max(1, n/(1+n/8))
		fetchers := make([]int, turns)
		for _, d := range list {
			if d.Of != turns || d.Rank < 0 || d.Rank >= turns || d.Fetchers != 1 {
				t.Fatalf("%s: one of %d has duty %+v, want one of %d turns", r, n, *d, turns)
			}
			for sequence := range turns {
				if fetches(d, 1000+sequence) {
					fetchers[sequence]++
				}
			}
		}
		if least, most := slices.Min(fetchers), slices.Max(fetchers); most-least > 1 {
			t.Fatalf("%s: from %d to %d of %d fetch a segment", r, least, most, n)
		}
	}
}

// TestDutyGoesWithTheUpload: who stops giving learns with the answer that it has
// no duty any more.
func TestDutyGoesWithTheUpload(t *testing.T) {
	d := newDriver(t, Config{})
	d.join(1, Facts{})
	if m := d.announce(1, live(0)); m.Duty == nil || *m.Duty != (signal.Duty{Rank: 0, Of: 1, Fetchers: 1}) {
		t.Errorf("alone it has duty %+v", m.Duty)
	}
	a := live(0)
	a.Upload = false
	if m := d.announce(1, a); m.Duty != nil {
		t.Errorf("it gives nothing and has duty %+v", *m.Duty)
	}
}

// TestPushesToSmallGroups: a change reaches all of a small group once, Settle after
// the first of several changes.
func TestPushesToSmallGroups(t *testing.T) {
	d := newDriver(t, Config{SmallGroup: 10})
	for p := wire.PeerID(1); p <= 9; p++ {
		d.join(p, Facts{})
		d.announce(p, live(0))
	}
	d.wait(time.Second)
	d.leave(9)
	d.now += 300 * time.Millisecond
	d.leave(8)
	if at, ok := d.s.NextDeadline(); !ok || at != d.now+200*time.Millisecond {
		t.Fatalf("the push is at %v, now is %v; want it 200 ms from now", at, d.now)
	}
	if out := d.wait(199 * time.Millisecond); len(out) != 0 {
		t.Errorf("pushed before Settle was over: %d effects", len(out))
	}
	out := d.wait(time.Millisecond)
	for p := wire.PeerID(1); p <= 7; p++ {
		if m := sends(out, p, signal.Peers); len(m) != 1 || m[0].Duty.Of != 7 || m[0].SwarmSize != 7 {
			t.Errorf("%v was told %d times", p, len(m))
		}
	}
	if len(out) != 7 {
		t.Errorf("%d effects, want 7", len(out))
	}
	if out := d.wait(10 * time.Second); len(out) != 0 {
		t.Errorf("pushed again without a change: %d effects", len(out))
	}

}

// TestPushesToLargeGroups: of a large group all are told when it takes turns in
// another number; who leaves in between changes one other's turn, and that one is told.
func TestPushesToLargeGroups(t *testing.T) {
	d := newDriver(t, Config{SmallGroup: 10, Fetchers: func(int) int { return 2 }})
	has := duties{}
	come := func(from, to wire.PeerID) {
		for p := from; p <= to; p++ {
			d.join(p, Facts{})
			has[p] = d.announce(p, live(0)).Duty
		}
	}
	even := func(turns, least, most int) {
		t.Helper()
		fetchers := make([]int, turns)
		for p, duty := range has {
			if duty.Of != turns {
				t.Fatalf("%v knows %d turns, want %d", p, duty.Of, turns)
			}
			fetchers[duty.Rank]++
		}
		if slices.Min(fetchers) < least || slices.Max(fetchers) > most {
			t.Fatalf("%v fetch a segment, want %d to %d", fetchers, least, most)
		}
	}
	come(1, 40)
	has.take(d.wait(10 * time.Second))
	even(16, 2, 3)
	come(41, 47)
	if out := d.wait(10 * time.Second); len(out) != 0 {
		t.Errorf("%d were told, and the turns are the same", len(out))
	}
	even(16, 2, 3)
	come(48, 48)
	if out := d.wait(10 * time.Second); len(out) != 48 {
		t.Errorf("%d were told that the turns are twice as many, want 48", len(out))
	} else {
		has.take(out)
	}
	even(32, 1, 2)
	for p := wire.PeerID(1); p <= 9; p++ {
		out := d.leave(p)
		if len(out) != 1 {
			t.Fatalf("%d were told that %v left, want the one that takes its turn", len(out), p)
		}
		delete(has, p)
		has.take(out)
		even(32, 1, 2)
	}
	d.leave(10)
	delete(has, 10)
	has.take(d.wait(time.Second))
	even(16, 2, 3)
	for p := wire.PeerID(11); p <= 40; p++ {
		d.leave(p)
	}
	d.wait(0)
	if out := d.wait(time.Second); len(out) != d.s.Len() {
		t.Errorf("%d of a group that is small again were told, want %d", len(out), d.s.Len())
	}
}

// TestSlowUplinksTakeNoTurns: whose uplink is well below the median gives a segment
// away too slowly to be its first owner. A few that boast do not change who is slow.
func TestSlowUplinksTakeNoTurns(t *testing.T) {
	d := newDriver(t, Config{})
	announce := func(p wire.PeerID, mbps int64) *signal.Duty {
		d.join(p, Facts{})
		a := live(0)
		a.UplinkBPS = mbps * 1e6
		return d.announce(p, a).Duty
	}
	for p := wire.PeerID(1); p <= 7; p++ {
		if announce(p, int64(p)) == nil {
			t.Fatalf("%v has no duty while too few uplinks are known to say who is slow", p)
		}
	}
	for p := wire.PeerID(8); p <= 16; p++ {
		announce(p, 10)
	}
	for p, want := range map[wire.PeerID]bool{1: false, 4: false, 6: false, 8: true, 16: true} {
		mbps := int64(p)
		if p >= 8 {
			mbps = 10
		}
		if got := announce(p, mbps); (got != nil) != want {
			t.Errorf("%v has duty %+v", p, got)
		}
	}
	if announce(20, 0) == nil {
		t.Error("who has not measured its uplink has no duty")
	}
	for p := wire.PeerID(21); p <= 30; p++ {
		announce(p, 1e6)
	}
	if announce(8, 10) == nil {
		t.Error("ten that boast took the duty from those who do not")
	}
	if announce(1, 9) == nil {
		t.Error("a slow uplink that became faster has no duty")
	}
	for p := wire.PeerID(2); p <= 30; p++ {
		d.leave(p)
	}
	if announce(1, 1) == nil {
		t.Error("who is left alone has no duty")
	}
}

func TestDefaultFetchers(t *testing.T) {
	for n, want := range map[int]int{0: 1, 1: 1, 60: 1, 61: 2, 1000: 4, 100_000: 8} {
		if got := DefaultFetchers(n); got != want {
			t.Errorf("DefaultFetchers(%d) = %d, want %d", n, got, want)
		}
	}
	for n := 1; n < 5000; n++ {
		if DefaultFetchers(n+1) < DefaultFetchers(n) {
			t.Errorf("%d peers have fewer fetchers than %d", n+1, n)
		}
	}
}

// TestLocalitiesTakeTurnsByThemselves: a locality that is large enough has
// fetchers of its own; when it shrinks it takes turns with the others again.
func TestLocalitiesTakeTurnsByThemselves(t *testing.T) {
	s := New(Config{Seed: 1, OwnGroup: 10, SmallGroup: 1000})
	now := time.Second
	has := map[wire.PeerID]signal.Duty{}
	take := func(effects []Effect) {
		for _, e := range effects {
			if e.Kind == Send && e.Message.Duty != nil {
				has[e.Peer] = *e.Message.Duty
			}
		}
	}
	come := func(id wire.PeerID, region string) {
		take(s.Step(now, Input{Kind: Join, Peer: id, Facts: Facts{Region: region}}))
		take(s.Step(now, Input{Kind: Receive, Peer: id, Message: &signal.Message{Type: signal.Announce,
			Announcement: &signal.Announcement{Rendition: "r", Live: true, Upload: true}}}))
		checkState(t, s)
	}
	settle := func() {
		now += time.Second
		take(s.Step(now, Input{}))
	}
	for i := range 30 {
		come(wire.PeerID(100+i), "far")
	}
	for i := range 9 {
		come(wire.PeerID(200+i), "near")
	}
	settle()
	if d := has[205]; d.Of != 9 || has[105].Of != 30 {
		t.Fatalf("far takes turns by itself, near, with 9, is what is left: got %+v and %+v", has[105], d)
	}
	for i := range 3 {
		come(wire.PeerID(300+i), "elsewhere")
	}
	settle()
	if has[205].Of != 12 || has[300].Of != 12 {
		t.Fatalf("near and elsewhere take turns together: got %+v and %+v", has[205], has[300])
	}
	come(209, "near")
	settle()
	if has[205].Of != 10 || has[300].Of != 3 {
		t.Fatalf("near is large enough now: got %+v, and %+v elsewhere", has[205], has[300])
	}
	for i := range 6 {
		take(s.Step(now, Input{Kind: Leave, Peer: wire.PeerID(200 + i)}))
		checkState(t, s)
	}
	settle()
	if has[209].Of != 7 || has[300].Of != 7 {
		t.Fatalf("near is too small now: got %+v, and %+v elsewhere", has[209], has[300])
	}
}
