package peer_test

import (
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestUnaskedChunks: of what a neighbor sends unasked nothing is kept or checked, proven or
// not, and no more unknown segments of it than a bound.
func TestUnaskedChunks(t *testing.T) {
	e := peer.New(peer.Config{ID: 1, Seed: 1})
	const neighbor = wire.PeerID(2)
	now := time.Duration(0)
	step := func(in peer.Input) []peer.Effect {
		now += 10 * time.Millisecond
		return append([]peer.Effect(nil), e.Step(now, &in)...)
	}
	receive := func(m wire.Message) []peer.Effect {
		return step(peer.Input{Kind: peer.Receive, Peer: neighbor, Message: &m})
	}
	var segments []peer.Segment
	var haves []wire.SegmentHave
	for id := wire.SegmentID(100); id < 110; id++ {
		segments = append(segments, peer.Segment{ID: id, Start: time.Duration(id-100) * 2 * time.Second, Duration: 2 * time.Second})
		haves = append(haves, wire.SegmentHave{Segment: id, Chunks: 64, Mask: ^uint64(0)})
	}
	step(peer.Input{Kind: peer.ManifestIn, Manifest: &peer.Manifest{Rendition: "r", Number: 1, Segments: segments}})
	step(peer.Input{Kind: peer.Offered, Peer: neighbor})
	step(peer.Input{Kind: peer.NeighborUp, Peer: neighbor})
	receive(wire.Message{Type: wire.Hello, Version: wire.Version, Peer: neighbor, Rendition: 1})
	step(peer.Input{Kind: peer.PassChecked, Peer: neighbor, OK: true})
	asked := map[wire.SegmentID]uint64{}
	note := func(effects []peer.Effect) {
		for _, f := range effects {
			if f.Kind == peer.Send && f.Message.Type == wire.Request {
				asked[f.Message.Segment] |= f.Message.Mask
			}
		}
	}
	note(receive(wire.Message{Type: wire.Have, Haves: haves}))
	for range 10 {
		note(step(peer.Input{Kind: peer.Tick}))
	}
	if len(asked) == 0 {
		t.Fatal("nothing was asked for: this shows nothing")
	}
	const size = 4 << 20
	before := e.Report().DuplicateBytes
	sent := int64(0)
	for _, s := range segments {
		for index := range uint8(64) {
			if asked[s.ID]>>index&1 == 0 {
				sent += size
				note(receive(wire.Message{Type: wire.Chunk, Segment: s.ID, Index: index, Total: size, Data: make([]byte, 16)}))
			}
		}
	}
	// What was not asked for when it came counts as not wanted.
	if got := e.Report().DuplicateBytes - before; got < sent*9/10 {
		t.Errorf("%d MiB of %d were thrown away", got>>20, sent>>20)
	}
	var unknown []wire.SegmentHave
	for id := wire.SegmentID(1 << 20); id < 1<<20+5000; id++ {
		unknown = append(unknown, wire.SegmentHave{Segment: id, Chunks: 1, Mask: 1})
	}
	for len(unknown) > 0 {
		n := min(len(unknown), 200)
		receive(wire.Message{Type: wire.Have, Haves: unknown[:n]})
		unknown = unknown[n:]
	}
	if chunks, whole := e.Has(100); chunks != 0 || whole {
		t.Error("it has what nobody proved")
	}
	if n := e.Known(); n > 10+256 {
		t.Errorf("%d segments are known", n)
	}
}
