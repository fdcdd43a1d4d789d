package peer_test

import (
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestSpread: viewers who have just met, and all lack the same segments, do not
// take them from the origin at one moment, so that the first spares the others
// the way.
func TestSpread(t *testing.T) {
	const viewers, segments = 8, 4
	first := map[wire.SegmentID]map[time.Duration]bool{}
	for id := wire.PeerID(1); id <= viewers; id++ {
		e := peer.New(peer.Config{ID: id, Pass: "pass"})
		other := id%viewers + 1
		m := &peer.Manifest{Rendition: "r", Number: 1, Live: true}
		for n := range int64(segments) {
			m.Segments = append(m.Segments, peer.Segment{ID: wire.SegmentID(100 + n), Sequence: n, Size: 100 << 10,
				Start: time.Duration(2+n) * 2 * time.Second, Duration: 2 * time.Second})
		}
		for _, in := range []peer.Input{
			{Kind: peer.Play},
			{Kind: peer.ManifestIn, Manifest: m},
			{Kind: peer.SignalIn, Signal: &signal.Message{Type: signal.Peers, SwarmSize: viewers, Duty: &signal.Duty{Rank: 0, Of: 1, Fetchers: 1},
				Peers: []signal.PeerInfo{{ID: other, Upload: true, Initiate: true}}}},
			{Kind: peer.NeighborUp, Peer: other},
			{Kind: peer.Receive, Peer: other, Message: &wire.Message{Type: wire.Hello, Version: wire.Version, Peer: other, Token: "pass"}},
			{Kind: peer.PassChecked, Peer: other, OK: true},
		} {
			e.Step(time.Second, &in)
		}
		for now := e.NextDeadline(); now < 20*time.Second; now = e.NextDeadline() {
			for _, f := range e.Step(now, &peer.Input{Kind: peer.Tick}) {
				if f.Kind != peer.FetchOrigin {
					continue
				}
				if first[f.Segment] == nil {
					first[f.Segment] = map[time.Duration]bool{}
				}
				first[f.Segment][now.Truncate(20*time.Millisecond)] = true
			}
		}
	}
	if len(first) == 0 {
		t.Fatal("nobody takes anything")
	}
	for s, times := range first {
		if len(times) < viewers/2 {
			t.Errorf("segment %v is taken by %d viewers at %d moments: %v", s, viewers, len(times), times)
		}
	}
}
