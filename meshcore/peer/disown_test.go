package peer_test

import (
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestOriginDiffers: the origin serves other bytes than those that it signed for
// (the file was replaced). The player gets them, and neighbors, who were told of a
// chunk that did match, are told that there is none.
func TestOriginDiffers(t *testing.T) {
	e := peer.New(peer.Config{ID: 1, Seed: 1})
	const id, neighbor = wire.SegmentID(100), wire.PeerID(2)
	now := time.Duration(0)
	step := func(in peer.Input) []peer.Effect {
		now += time.Second
		return append([]peer.Effect(nil), e.Step(now, &in)...)
	}
	step(peer.Input{Kind: peer.ManifestIn, Manifest: &peer.Manifest{Rendition: "r", Number: 1,
		Segments: []peer.Segment{{ID: id, Duration: 2 * time.Second}}}})
	step(peer.Input{Kind: peer.Offered, Peer: neighbor})
	step(peer.Input{Kind: peer.NeighborUp, Peer: neighbor})
	step(peer.Input{Kind: peer.Receive, Peer: neighbor, Message: &wire.Message{Type: wire.Hello, Version: wire.Version, Peer: neighbor, Rendition: 1}})
	step(peer.Input{Kind: peer.PassChecked, Peer: neighbor, OK: true})
	step(peer.Input{Kind: peer.OriginProof, Segment: id, OK: true, Layout: integrity.Layout{Size: 40 << 10, ChunkSize: 16 << 10}})
	step(peer.Input{Kind: peer.OriginChunk, Segment: id, Chunk: 0, Bytes: 16 << 10})
	step(peer.Input{Kind: peer.Tick})

	var complete, withdrawn bool
	for _, f := range step(peer.Input{Kind: peer.OriginDone, Segment: id, OK: true, Bytes: 24 << 10}) {
		complete = complete || f.Kind == peer.Complete && f.Segment == id
		withdrawn = withdrawn || f.Kind == peer.Send && f.Peer == neighbor && f.Message.Type == wire.Have &&
			f.Message.Haves[0] == wire.SegmentHave{Segment: id, Chunks: 3}
	}
	if !complete || !withdrawn {
		t.Errorf("complete: %v, withdrawn: %v; want both", complete, withdrawn)
	}
	for _, f := range step(peer.Input{Kind: peer.Receive, Peer: neighbor, Message: &wire.Message{Type: wire.Request, Segment: id, Mask: 1}}) {
		if f.Kind == peer.SendChunk {
			t.Error("a chunk of it is given to a neighbor")
		}
	}
	for range 20 {
		for _, f := range step(peer.Input{Kind: peer.Tick}) {
			if f.Kind == peer.FetchOrigin || (f.Kind == peer.Send && f.Message.Type == wire.Have && f.Message.Haves[0].Mask != 0) {
				t.Errorf("it is fetched or announced again: %+v", f)
			}
		}
	}
	if r := e.Report(); r.OriginBytes != 40<<10 {
		t.Errorf("%d bytes from the origin are reported, want %d", r.OriginBytes, 40<<10)
	}
}
