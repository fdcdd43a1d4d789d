package tracker

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// trace drives a swarm through 3,000 inputs of every kind and writes down every
// effect. The inputs are the same for every seed of the swarm.
func trace(t *testing.T, seed uint64) []byte {
	var b bytes.Buffer
	rng := rand.New(rand.NewPCG(1, 1))
	d := newDriver(t, Config{Seed: seed, Silence: 20 * time.Second, SmallGroup: 40, MaxNeighbors: 12, MaxTold: 40, Burst: 60, Rate: 5})
	for range 3000 {
		d.now += time.Duration(rng.IntN(20)) * time.Millisecond
		p, o := wire.PeerID(rng.IntN(150)+1), wire.PeerID(rng.IntN(150)+1)
		in := Input{Kind: Receive, Peer: p}
		switch k := rng.IntN(20); {
		case k < 4:
			p += wire.PeerID(rng.IntN(2) * 150) // those above 150 never speak
			in = Input{Kind: Join, Peer: p, Facts: Facts{Scope: fmt.Sprint(rng.IntN(2)), ASN: uint32(rng.IntN(5)), Region: "R", ReceiveOnly: rng.IntN(5) == 0}}
		case k == 4:
			in = Input{Kind: Leave, Peer: p}
		case k == 5:
			in = Input{Kind: Tick}
		case k == 6:
			if in.Message = (&signal.Message{Type: signal.Complain, Peer: &o}); o < 20 {
				in = Input{Kind: Convicted, Peer: o}
			}
		case k == 7:
			in.Message = &signal.Message{Type: signal.Offer, To: &o, Connection: "c", SDP: "v=0"}
		case k == 8:
			in.Message = &signal.Message{Type: signal.ReportMsg, Report: &signal.Report{PeerBytes: rng.Int64N(1e6)}}
		default:
			in.Message = &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{Rendition: fmt.Sprint("v", rng.IntN(3)),
				Live: rng.IntN(2) == 0, PositionMS: rng.Int64N(1e6), Neighbors: rng.IntN(14), Want: rng.IntN(12), Upload: rng.IntN(4) > 0,
				UplinkBPS: rng.Int64N(3e7), Failed: []wire.PeerID{o}}}
		}
		for _, e := range d.step(in) {
			fmt.Fprintf(&b, "%v %d %v ", d.now, e.Kind, e.Peer)
			if e.Message != nil {
				b.Write(signal.Encode(e.Message))
			}
			b.WriteByte('\n')
		}
		if at, ok := d.s.NextDeadline(); ok {
			fmt.Fprintln(&b, "next", at)
		}
	}
	fmt.Fprintf(&b, "%+v\n", d.s.Stats())
	return b.Bytes()
}

// TestSameSeedSameEffects: byte for byte, and another seed draws otherwise.
func TestSameSeedSameEffects(t *testing.T) {
	first, second, other := trace(t, 42), trace(t, 42), trace(t, 43)
	if !bytes.Equal(first, second) {
		t.Error("the same seed gave two traces")
	}
	if bytes.Equal(first, other) {
		t.Error("another seed gave the same trace")
	}
	for _, what := range []string{`"type":"peers"`, `"type":"offer"`, `"reason":"left"`, `"code":"silent"`, `"reason":"banned"`} {
		if !bytes.Contains(first, []byte(what)) {
			t.Errorf("the trace never had %s", what)
		}
	}
}
