package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// stub is a client that keeps what it was given, and when.
type stub struct {
	w     *world
	lines []string
	at    []time.Duration
}

func (s *stub) Step(now time.Duration, in *peer.Input) []peer.Effect {
	name := map[peer.InputKind]string{peer.Receive: "receive", peer.NeighborUp: "up", peer.NeighborDown: "down", peer.Sent: "sent",
		peer.OriginProof: "proof", peer.OriginChunk: "origin", peer.OriginDone: "done", peer.Offered: "offered"}[in.Kind]
	switch {
	case name == "":
		return nil
	case in.Kind == peer.Receive:
		name += " " + in.Message.Type.String()
	case in.Kind == peer.OriginDone:
		name += fmt.Sprint(" ", in.OK)
	}
	s.lines, s.at = append(s.lines, name), append(s.at, now)
	if in.Kind == peer.Offered {
		return []peer.Effect{{Kind: peer.Accept, Peer: in.Peer}}
	}
	return nil
}

func (s *stub) NextDeadline() time.Duration { return never }
func (s *stub) Report() *signal.Report      { return &signal.Report{} }

// bench is a world of viewers with stubs, all of them come and unconnected.
func bench(t *testing.T, change func(sc *Scenario)) (*world, []*stub) {
	t.Helper()
	sc, err := Parse([]byte(minimal))
	if err != nil {
		t.Fatal(err)
	}
	sc.Minutes, sc.LatencyMinMS, sc.LatencyMaxMS = 5, 30, 30
	change(&sc)
	if err := sc.Check(); err != nil {
		t.Fatal(err)
	}
	w := newWorld(sc, Mesh)
	w.q = newEventQueue(20 * time.Millisecond)
	var stubs []*stub
	for _, n := range w.nodes {
		s := &stub{w: w}
		n.here, n.client = true, s
		n.player.left = w.end
		stubs = append(stubs, s)
	}
	return w, stubs
}

// do carries out an effect of a viewer now.
func (w *world) do(n int32, f peer.Effect) {
	w.before(func(l *shard) { l.effect(w.nodes[n], &f) })
}

// before has something happen before the first window.
func (w *world) before(f func(l *shard)) {
	f(&w.shards[0])
	w.settle()
}

// wantSteps holds what a viewer was given to what it should have been, within a
// millisecond.
func (s *stub) wantSteps(t *testing.T, want map[string]time.Duration) {
	t.Helper()
	for line, at := range want {
		i := slices.Index(s.lines, line)
		if i < 0 {
			t.Errorf("no %q; got %v", line, s.lines)
		} else if d := s.at[i] - at; d < -time.Millisecond || d > time.Millisecond {
			t.Errorf("%q at %v, want %v", line, s.at[i], at)
		}
	}
}

const ms = time.Millisecond

func TestConnecting(t *testing.T) {
	w, s := bench(t, func(sc *Scenario) { sc.Viewers = 2 })
	w.do(0, peer.Effect{Kind: peer.Connect, Peer: peerID(1)})
	w.run(Options{})
	offer := 40*ms + gathering
	up := offer + 40*ms + gathering + connectRTTs*60*ms
	s[1].wantSteps(t, map[string]time.Duration{"offered": offer, "up": up})
	s[0].wantSteps(t, map[string]time.Duration{"up": up})
	if slices.Contains(s[0].lines, "down") {
		t.Errorf("the connection ended: %v at %v", s[0].lines, s[0].at)
	}
}

func TestNATs(t *testing.T) {
	for _, c := range []struct {
		a, b  nat
		reach bool
	}{
		{natOpen, natOpen, true}, {natOpen, natRestricted, true}, {natOpen, natSymmetric, true},
		{natRestricted, natRestricted, true}, {natRestricted, natSymmetric, false}, {natSymmetric, natSymmetric, false},
	} {
		if reach(c.a, c.b) != c.reach || reach(c.b, c.a) != c.reach {
			t.Errorf("%d and %d: reach %v, want %v", c.a, c.b, reach(c.a, c.b), c.reach)
		}
		w, s := bench(t, func(sc *Scenario) { sc.Viewers = 2 })
		w.nodes[0].nat, w.nodes[1].nat = c.a, c.b
		w.do(0, peer.Effect{Kind: peer.Connect, Peer: peerID(1)})
		w.run(Options{})
		if c.reach != slices.Contains(s[0].lines, "up") || c.reach == slices.Contains(s[0].lines, "down") {
			t.Errorf("%d and %d: %v", c.a, c.b, s[0].lines)
		}
		if !c.reach {
			s[0].wantSteps(t, map[string]time.Duration{"down": giveUpAfter})
		}
	}
	// A swarm behind symmetric NATs alone shares nothing, and nothing is asked.
	sc := small(t, "live-10", 10, 1)
	sc.SymmetricNAT = 1
	if r := Run(sc, Mesh, Options{}); r.PeerBytes != 0 || r.Ceiling != 0 || r.Stalls != 0 || r.NotStarted != 0 {
		t.Errorf("%d bytes from peers, ceiling %v, %d stalls, %d not started", r.PeerBytes, r.Ceiling, r.Stalls, r.NotStarted)
	}
}

// connected opens a link between two viewers without ado.
func connected(w *world, a, b int32) {
	for _, p := range [][2]int32{{a, b}, {b, a}} {
		w.nodes[p[0]].addLink(p[1], w.latency(a, b))
		w.nodes[p[0]].link(p[1]).open = true
	}
}

func TestUplinkTakesOneChunkAfterAnother(t *testing.T) {
	w, s := bench(t, func(sc *Scenario) { sc.Viewers = 3 })
	connected(w, 0, 1)
	connected(w, 0, 2)
	id := segmentID(0, 1)
	for c := range uint8(2) {
		w.shards[0].got(w.nodes[0], id, c, false)
	}
	chunk := taking(w.chunkBytes(0, 0), w.nodes[0].up) // 26 ms
	w.do(0, peer.Effect{Kind: peer.SendChunk, Peer: peerID(1), Segment: id})
	w.do(0, peer.Effect{Kind: peer.SendChunk, Peer: peerID(2), Segment: id, Chunk: 1})
	w.do(0, peer.Effect{Kind: peer.Send, Peer: peerID(2), Message: wire.Message{Type: wire.Ping}})
	w.do(0, peer.Effect{Kind: peer.Send, Peer: peerID(1), Message: wire.Message{Type: wire.Pong}})
	w.run(Options{})
	s[0].wantSteps(t, map[string]time.Duration{"sent": chunk})
	s[1].wantSteps(t, map[string]time.Duration{"receive chunk": chunk + 30*ms, "receive pong": chunk + 30*ms})
	// The ping waits behind the chunk of its own channel.
	s[2].wantSteps(t, map[string]time.Duration{"receive chunk": 2*chunk + 30*ms, "receive ping": 2*chunk + 30*ms})
}

func TestDownlinkTakesOneChunkAfterAnother(t *testing.T) {
	w, s := bench(t, func(sc *Scenario) { sc.Viewers, sc.DownMbps = 6, 10 })
	id := segmentID(0, 1)
	bytes := w.chunkBytes(0, 0)
	for n := int32(1); n < 6; n++ {
		connected(w, 0, n)
		w.shards[0].got(w.nodes[n], id, 0, false)
		w.do(n, peer.Effect{Kind: peer.SendChunk, Peer: peerID(0), Segment: id})
	}
	w.run(Options{})
	if n := len(s[0].at); n != 5 {
		t.Fatalf("%d chunks came, want 5", n)
	}
	// A downlink of half the uplinks' rate: each chunk takes its time, from when the
	// first byte came.
	for i, at := range s[0].at {
		if want := 30*ms + time.Duration(i+1)*taking(bytes, w.nodes[0].down); at < want-ms || at > want+ms {
			t.Errorf("chunk %d at %v, want %v", i, at, want)
		}
	}
}

func TestOriginFetch(t *testing.T) {
	w, s := bench(t, func(sc *Scenario) { sc.Viewers = 1 })
	id := segmentID(0, 1)
	w.do(0, peer.Effect{Kind: peer.FetchOrigin, Segment: id})
	w.run(Options{})
	size := w.layouts[0].Size
	s[0].wantSteps(t, map[string]time.Duration{"proof": 40 * ms, "done true": 40*ms + taking(size, w.nodes[0].down)})
	if !w.shards[0].whole(w.nodes[0], id) || w.m.egressed != size || w.m.delivered != size {
		t.Errorf("sent %d, delivered %d of %d", w.m.egressed, w.m.delivered, size)
	}

	// Two viewers share the uplink of the origin; a cancelled fetch ends soon.
	w, s = bench(t, func(sc *Scenario) { sc.Viewers, sc.OriginMbps = 2, 10 })
	w.do(0, peer.Effect{Kind: peer.FetchOrigin, Segment: id})
	w.do(1, peer.Effect{Kind: peer.FetchOrigin, Segment: id})
	w.run(Options{})
	both := 40*ms + taking(2*size, bytesPerSecond(10))
	if end := max(s[0].at[len(s[0].at)-1], s[1].at[len(s[1].at)-1]); end < both-40*ms || end > both+100*ms {
		t.Errorf("two segments at 10 Mbit/s ended at %v, want about %v", end, both)
	}
	w, s = bench(t, func(sc *Scenario) { sc.Viewers = 1 })
	w.do(0, peer.Effect{Kind: peer.FetchOrigin, Segment: id})
	w.do(0, peer.Effect{Kind: peer.CancelOrigin, Segment: id})
	w.run(Options{})
	s[0].wantSteps(t, map[string]time.Duration{"done false": 40 * ms})
	if w.m.egressed != 0 {
		t.Errorf("%d bytes of a cancelled fetch were sent", w.m.egressed)
	}
}

func TestDeathIsNoticedLate(t *testing.T) {
	w, s := bench(t, func(sc *Scenario) { sc.Viewers, sc.DeadAfterS = 2, 9 })
	connected(w, 0, 1)
	w.before(func(l *shard) { l.leave(w.nodes[1], w.origin()) })
	w.run(Options{})
	s[0].wantSteps(t, map[string]time.Duration{"down": 9 * time.Second})
}

func TestBytesOfTheDepartedAreNotSent(t *testing.T) {
	w, s := bench(t, func(sc *Scenario) { sc.Viewers = 1 })
	w.do(0, peer.Effect{Kind: peer.FetchOrigin, Segment: segmentID(0, 1)})
	w.q.push(&event{at: 100 * ms, kind: evExodus, to: edge})
	w.run(Options{})
	if slices.Contains(s[0].lines, "done true") || w.m.egressed >= w.layouts[0].Size || w.m.lost == 0 {
		t.Errorf("sent %d of %d, lost %d: %v", w.m.egressed, w.layouts[0].Size, w.m.lost, s[0].lines)
	}
}

// TestChunksThatAreNotThere: the world does not send what the holdings do not have.
func TestChunksThatAreNotThere(t *testing.T) {
	w, s := bench(t, func(sc *Scenario) { sc.Viewers = 2 })
	connected(w, 0, 1)
	w.do(0, peer.Effect{Kind: peer.SendChunk, Peer: peerID(1), Segment: segmentID(0, 1)})
	w.do(0, peer.Effect{Kind: peer.Complete, Segment: segmentID(0, 1)})
	w.run(Options{})
	if w.m.violations != 2 || len(s[1].lines) != 0 {
		t.Errorf("%d violations, want 2; the neighbor was given %v", w.m.violations, s[1].lines)
	}
}
