package tracker

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// crowd makes a swarm of n uploading live viewers in 50 networks, four to a prefix, who have
// asked for peers as often as rounds.
func crowd(b *testing.B, n, rounds int) (d *driver, ids []wire.PeerID) {
	d = newDriver(b, Config{Burst: 1e12, Rate: 1e12, MaxTold: 1e9, Silence: time.Hour})
	rng := rand.New(rand.NewPCG(1, 2))
	ids = make([]wire.PeerID, n)
	for i := range ids {
		ids[i] = wire.PeerID(rng.Uint64())
		d.s.Step(d.now, Input{Kind: Join, Peer: ids[i], Facts: Facts{
			ASN: uint32(1 + i%50), Region: fmt.Sprint("R", i%10), Prefix: fmt.Sprintf("%d.%d.%d.0/24", 1+i>>18, i>>10&255, i>>2&255), Household: fmt.Sprintf("%d.%d.%d.%d", 1+i>>18, i>>10&255, i>>2&255, i&3)}})
		d.s.Step(d.now, Input{Kind: Receive, Peer: ids[i], Message: asks(i, 0)})
	}
	for round := range rounds {
		d.now += time.Minute
		for i, id := range ids {
			d.s.Step(d.now, Input{Kind: Receive, Peer: id, Message: asks(i+round, 8)})
		}
	}
	return d, ids
}

// asks is the announcement of a viewer that wants more peers.
func asks(i, want int) *signal.Message {
	return &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{
		Rendition: "/live/720p.m3u8", Live: true, Want: want, Neighbors: i % 12, Upload: true, UplinkBPS: int64(1+i%20) * 1e6}}
}

// BenchmarkList is an announce that is answered with eight peers, in swarms of several sizes: its
// cost does not grow with the swarm.
func BenchmarkList(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			d, ids := crowd(b, n, 0)
			rng := rand.New(rand.NewPCG(3, 4))
			told := 0
			for b.Loop() {
				i := rng.IntN(n)
				out := d.s.Step(d.now, Input{Kind: Receive, Peer: ids[i], Message: asks(i, 8)})
				for _, e := range out {
					told += len(e.Message.Peers)
				}
				d.now += time.Millisecond
			}
			b.ReportMetric(float64(told)/float64(b.N), "peers/list")
		})
	}
}

// BenchmarkMemory is what a member takes that has asked for peers ten times.
func BenchmarkMemory(b *testing.B) {
	const n = 50_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		d, ids := crowd(b, n, 10)
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "B/member")
		runtime.KeepAlive(d)
		runtime.KeepAlive(ids)
	}
}
