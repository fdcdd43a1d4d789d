package sim

import (
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestBaselineIsFair holds window-random against what the engine that it stands
// for measured, tuned, in browsers on one machine: 12 segments of 2 s in the
// playlist, 4 viewers 0.90 of the ceiling and 12 viewers 0.81. The stand-in must not
// do worse, so that who beats it beats the engine.
func TestBaselineIsFair(t *testing.T) {
	for _, c := range []struct {
		viewers  int
		measured float64
	}{{4, 0.90}, {12, 0.81}} {
		for _, behind := range []float64{12, 18} {
			sc := Scenario{Name: "measured", Live: true, Minutes: 10, SegmentS: 2, RateMbps: 3, BehindS: behind, WindowS: 24, Viewers: c.viewers,
				ArriveS: 5, DownMbps: 1000, UpMbps: 200, LatencyMinMS: 1, LatencyMaxMS: 2, OriginMS: 1}
			if err := sc.Check(); err != nil {
				t.Fatal(err)
			}
			if r := Run(sc, WindowRandom, Options{}); r.Offload < c.measured*r.Ceiling || r.Stalls > 0 {
				t.Errorf("%d viewers, %g s behind: %.3f of the ceiling and %d stalls, want %.2f and none", c.viewers, behind, r.Offload/r.Ceiling, r.Stalls, c.measured)
			}
		}
	}
}

// TestBaselinePolicy walks one engine through the policy's sentences.
func TestBaselinePolicy(t *testing.T) {
	const dur = 4 * time.Second
	c := newWindowRandom(0, 1, false, true, 0)
	m := &peer.Manifest{Rendition: "r0", Number: 1, Live: true}
	for i := range int64(8) {
		m.Segments = append(m.Segments, peer.Segment{ID: segmentID(0, i), Sequence: i, Start: time.Duration(i) * dur, Duration: dur, Size: 1 << 20})
	}
	var fetched, asked []int64
	var whom []wire.PeerID
	step := func(now time.Duration, in peer.Input) {
		fetched, asked, whom = nil, nil, nil
		for _, f := range c.Step(now, &in) {
			switch {
			case f.Kind == peer.FetchOrigin:
				fetched = append(fetched, ref(f.Segment).sequence)
			case f.Kind == peer.Send && f.Message.Type == wire.Request:
				asked = append(asked, ref(f.Message.Segment).sequence)
				whom = append(whom, f.Peer)
			}
		}
	}
	step(0, peer.Input{Kind: peer.ManifestIn, Manifest: m})
	if len(fetched) != 1 || fetched[0] != 0 {
		t.Fatalf("at the start it fetches %v, want the first segment", fetched)
	}
	step(0, peer.Input{Kind: peer.Play, Playing: true})
	if len(fetched) != 1 || fetched[0] != 1 {
		t.Fatalf("playing it fetches %v, want what is within 4 s", fetched)
	}
	all := wire.All(integrityChunks(1 << 20))
	for p := wire.PeerID(2); p < 6; p++ {
		step(0, peer.Input{Kind: peer.Offered, Peer: p})
		step(0, peer.Input{Kind: peer.NeighborUp, Peer: p})
		step(0, peer.Input{Kind: peer.Receive, Peer: p, Message: &wire.Message{Type: wire.Hello, Version: wire.Version, Peer: p}})
	}
	var total []int64
	var peers []wire.PeerID
	for p := wire.PeerID(2); p < 6; p++ {
		have := &wire.Message{Type: wire.Have}
		for i := range int64(8) {
			have.Haves = append(have.Haves, wire.SegmentHave{Segment: segmentID(0, i), Chunks: uint8(integrityChunks(1 << 20)), Mask: all})
		}
		step(time.Millisecond, peer.Input{Kind: peer.Receive, Peer: p, Message: have})
		total, peers = append(total, asked...), append(peers, whom...)
		if len(fetched) != 0 {
			t.Fatalf("it fetches %v from the origin, which peers have", fetched)
		}
	}
	if len(total) != 3 || total[0] != 2 || total[1] != 3 || total[2] != 4 {
		t.Fatalf("it asks peers for %v, want three at a time, the next first", total)
	}
	if peers[0] == peers[1] || peers[1] == peers[2] || peers[0] == peers[2] {
		t.Errorf("it asks %v, want three peers", peers)
	}
	// Nothing comes: after two seconds others are asked; within 4 s the origin is.
	step(2*time.Second+2*time.Millisecond, peer.Input{})
	if len(asked) != 3 {
		t.Errorf("after the timeout it asks for %v, want three again", asked)
	}
	for i := range int64(2) {
		c.seg(segmentID(0, i)).whole = true
		step(3*time.Second, peer.Input{Kind: peer.OriginDone, Segment: segmentID(0, i), OK: true})
	}
	step(4*time.Second, peer.Input{})
	if len(fetched) != 1 || fetched[0] != 2 {
		t.Errorf("it fetches %v, want the segment that came within 4 s of the playhead", fetched)
	}
}

func integrityChunks(size int64) int {
	s := wrSegment{s: peer.Segment{Size: size}}
	s.layout.Size, s.layout.ChunkSize = size, 32<<10
	return s.layout.Chunks()
}

// TestBaselineDraws: with nobody announcing anything, each peer draws a coming
// segment every 1 + U(0, P) seconds with probability N/(P+1).
func TestBaselineDraws(t *testing.T) {
	c := newWindowRandom(0, 1, false, true, 0)
	const neighbors = 9
	for p := wire.PeerID(2); p < 2+neighbors; p++ {
		c.Step(0, &peer.Input{Kind: peer.Offered, Peer: p})
		c.Step(0, &peer.Input{Kind: peer.NeighborUp, Peer: p})
		c.Step(0, &peer.Input{Kind: peer.Receive, Peer: p, Message: &wire.Message{Type: wire.Hello, Peer: p}})
	}
	m := &peer.Manifest{Rendition: "r0", Live: true}
	for i := range int64(4) {
		m.Segments = append(m.Segments, peer.Segment{ID: segmentID(0, i), Sequence: i, Start: time.Duration(i)*4*time.Second + 20*time.Second, Duration: 4 * time.Second, Size: 1 << 20})
	}
	c.Step(0, &peer.Input{Kind: peer.ManifestIn, Manifest: m})
	draws := 0
	const seconds = 20000
	for now := time.Duration(0); now < seconds*time.Second; now = c.NextDeadline() {
		for _, f := range c.Step(now, &peer.Input{}) {
			if f.Kind == peer.FetchOrigin {
				draws++
				s := c.seg(f.Segment) // it came to nothing: the next draw sees the same
				s.origin = false
				c.fetches = 0
			}
		}
	}
	// Every 1 + 9/2 s, with probability 4/10.
	want := seconds / 5.5 * 0.4
	if float64(draws) < 0.9*want || float64(draws) > 1.1*want {
		t.Errorf("%d draws in %d s, want about %.0f", draws, seconds, want)
	}
}
