package peer_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// storm gives an engine inputs that a broken driver and hostile neighbors might,
// drawn from bytes, and calls see with each effect.
func storm(seed uint64, draws []byte, see func(now time.Duration, f *peer.Effect)) {
	next := func() int {
		if len(draws) == 0 {
			return 0
		}
		b := draws[0]
		draws = draws[1:]
		return int(b)
	}
	e := peer.New(peer.Config{ID: 1, Seed: seed, Neighbors: 6, CacheBytes: 400 << 10})
	now := time.Duration(0)
	first := int64(10)
	segment := func() wire.SegmentID { return wire.SegmentID(100 + first + int64(next()%6) - 1) }
	id := func() wire.PeerID { return wire.PeerID(2 + next()%8) }
	step := func(in *peer.Input) {
		for _, f := range e.Step(now, in) {
			see(now, &f)
		}
	}
	manifest := func() *peer.Manifest {
		m := &peer.Manifest{Rendition: "r", Number: uint64(1 + next()%2), Live: next()%4 != 0}
		for n := first; n < first+5; n++ {
			m.Segments = append(m.Segments, peer.Segment{ID: wire.SegmentID(100 + n), Sequence: n,
				Start: time.Duration(n) * 2 * time.Second, Duration: 2 * time.Second, Private: next() == 7})
		}
		return m
	}
	layout := integrity.Layout{Size: 100 << 10, ChunkSize: 16 << 10}
	for len(draws) > 0 {
		in := &peer.Input{OK: next()%5 != 0, Peer: id(), Segment: segment(), Chunk: uint8(next() % 9), Bytes: int64(next()) << 8, Layout: layout}
		switch next() % 16 {
		case 0:
			in.Kind, in.Manifest = peer.ManifestIn, manifest()
		case 1:
			in.Kind, in.Position, in.Playing = peer.Play, time.Duration(first)*2*time.Second, in.OK
		case 2:
			first++
		case 3:
			in.Kind = peer.NeighborUp
		case 4:
			in.Kind = peer.NeighborDown
		case 5:
			in.Kind = peer.Offered
		case 6:
			in.Kind = peer.PassChecked
		case 7:
			in.Kind = peer.ProofChecked
		case 8:
			in.Kind = peer.ChunkChecked
		case 9:
			in.Kind = peer.OriginProof
		case 10:
			in.Kind = peer.OriginChunk
		case 11:
			in.Kind = peer.OriginDone
		case 12:
			in.Kind, in.Within = peer.Need, time.Duration(next())*10*time.Millisecond
		case 13:
			in.Kind = peer.SignalIn
			in.Signal = &signal.Message{Type: signal.Peers, SwarmSize: 9, Duty: &signal.Duty{Rank: next() % 4, Of: 4, Fetchers: 1},
				Peers: []signal.PeerInfo{{ID: id(), Upload: true, Initiate: true}, {ID: id(), Upload: true, Initiate: true}}}
			if next()%4 == 0 {
				p := id()
				in.Signal = &signal.Message{Type: signal.Drop, Peer: &p, Reason: "banned"}
			}
		case 14:
			in.Kind = peer.Sent
		case 15:
			in.Kind = peer.Receive
			m := &wire.Message{Type: wire.Type(1 + next()%11), Version: 1, Peer: in.Peer, Segment: in.Segment, Index: in.Chunk,
				Mask: uint64(next()), Flags: uint8(next() % 2), Reason: uint8(next() % 7), Total: uint32(16 << 10), Within: uint32(next() * 20), Rendition: 1}
			if m.Type == wire.Have {
				for range next() % 4 {
					m.Haves = append(m.Haves, wire.SegmentHave{Segment: segment(), Chunks: uint8(7 + next()%8/7), Mask: uint64(next()) & 0x7f})
				}
			}
			in.Message = m
		}
		step(in)
		now += time.Duration(next()) * 2 * time.Millisecond
		for k := 0; e.NextDeadline() <= now; k++ {
			if k > 100 {
				panic(fmt.Sprintf("at %v the engine wants to be called at %v again and again", now, e.NextDeadline()))
			}
			step(&peer.Input{})
		}
	}
}

// FuzzEngine: no order of inputs makes the engine panic, spin, or break what it
// promises for each effect.
func FuzzEngine(f *testing.F) {
	for seed := range uint64(4) {
		f.Add(seed, draws(seed, 2000))
	}
	f.Fuzz(func(t *testing.T, seed uint64, draws []byte) {
		draws = draws[:min(len(draws), 4000)]
		trace := func() string {
			var s []byte
			storm(seed, draws, func(now time.Duration, f *peer.Effect) {
				if f.Kind == peer.Send {
					wire.Append(nil, &f.Message) // panics if it cannot be sent
				}
				if f.Signal != nil {
					s = append(s, signal.Encode(f.Signal)...)
					f.Signal = nil
				}
				s = fmt.Appendf(s, "%v %+v\n", now, *f)
			})
			return string(s)
		}
		if a, b := trace(), trace(); a != b {
			t.Fatal("the same inputs gave other effects the second time")
		}
	})
}

func draws(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 99))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestStorm runs FuzzEngine's inputs at random, with a fixed seed.
func TestStorm(t *testing.T) {
	for seed := range uint64(200) {
		n := 0
		storm(seed, draws(seed, 4000), func(time.Duration, *peer.Effect) { n++ })
		if n == 0 {
			t.Fatal("no effects at all")
		}
	}
}

// BenchmarkDecision is one plan for 40 neighbors and 60 segments, each with
// chunks missing and chunks to ask for: one chunk has just come.
func BenchmarkDecision(b *testing.B) {
	e := peer.New(peer.Config{ID: 1, Seed: 1, Neighbors: 60})
	m := &peer.Manifest{Rendition: "r", Number: 1, Live: true}
	for n := range int64(60) {
		m.Segments = append(m.Segments, peer.Segment{ID: wire.SegmentID(100 + n), Sequence: n,
			Start: time.Duration(n+2) * 4 * time.Second, Duration: 4 * time.Second, Size: 1500 << 10})
	}
	e.Step(0, &peer.Input{Kind: peer.Play, Position: 0, Playing: true})
	e.Step(0, &peer.Input{Kind: peer.ManifestIn, Manifest: m})
	var haves []wire.SegmentHave
	for _, s := range m.Segments {
		haves = append(haves, wire.SegmentHave{Segment: s.ID, Chunks: 24, Mask: wire.All(24)})
	}
	for p := wire.PeerID(2); p < 42; p++ {
		e.Step(0, &peer.Input{Kind: peer.Offered, Peer: p})
		e.Step(0, &peer.Input{Kind: peer.NeighborUp, Peer: p})
		e.Step(0, &peer.Input{Kind: peer.Receive, Peer: p, Message: &wire.Message{Type: wire.Hello, Version: 1, Peer: p, Rendition: 1}})
		e.Step(0, &peer.Input{Kind: peer.PassChecked, Peer: p, OK: true})
		e.Step(0, &peer.Input{Kind: peer.Receive, Peer: p, Message: &wire.Message{Type: wire.Have, Haves: haves}})
	}
	if e.Neighbors() != 40 {
		b.Fatalf("%d neighbors", e.Neighbors())
	}
	var last wire.Message
	var from wire.PeerID
	requests := 0
	take := func(effects []peer.Effect) {
		for i := range effects {
			if f := &effects[i]; f.Kind == peer.Send && f.Message.Type == wire.Request {
				last, from = f.Message, f.Peer
				requests++
			}
		}
	}
	now := 20 * time.Millisecond
	take(e.Step(now, &peer.Input{}))
	if requests == 0 {
		b.Fatal("nothing was asked for")
	}
	// Each time, one neighbor takes back one segment and announces it again, so
	// that everything is planned anew and one request is made.
	reject := &wire.Message{Type: wire.Reject, Reason: wire.RejectDenied}
	have := &wire.Message{Type: wire.Have}
	in := &peer.Input{Kind: peer.Receive}
	tick := &peer.Input{}
	requests = 0
	b.ReportAllocs()
	for b.Loop() {
		k := int(last.Segment - m.Segments[0].ID)
		in.Peer, reject.Segment, reject.Mask = from, last.Segment, last.Mask
		in.Message = reject
		e.Step(now, in)
		have.Haves = haves[k : k+1]
		in.Message = have
		e.Step(now, in)
		take(e.Step(e.NextDeadline(), tick))
	}
	b.ReportMetric(float64(requests)/float64(b.N), "requests/op")
}
