package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// node is a viewer: its engine, its links, its player. Nodes are numbered from 0
// in the order of arrival; the peer id is the number plus one.
type node struct {
	client client
	id     int32
	here   bool // it has come and not gone
	wakeAt time.Duration
	wake   int32 // version of the wake that counts

	up, down         float64 // bytes/s
	upFree, downFree time.Duration
	region           int
	symmetric        bool
	noUpload         bool
	polluter, liar   bool

	links   []link // connections, open or being opened
	version int32  // of the newest link
	rend    int    // index of the rendition

	player player
}

// link is one side of a connection.
type link struct {
	to      int32
	open    bool
	version int32
}

// world is one run.
type world struct {
	sc     Scenario
	policy Policy
	rng    *rand.Rand
	now    time.Duration
	end    time.Duration
	q      eventQueue
	nodes  []node

	tracker     *tracker.Swarm
	trackerWake time.Duration

	messages     []wire.Message
	freeMessages []int32
	signals      []*signal.Message
	freeSignals  []int32

	manifests  []*peer.Manifest // by rendition, the present ones
	layouts    []integrity.Layout
	newest     int64 // sequence of the newest live segment, -1 before the first
	originFree time.Duration

	m meter
}

// segRef says what a segment id stands for.
type segRef struct {
	rendition int
	sequence  int64
}

// ref gives the rendition and sequence that a segment id was made of.
func ref(id wire.SegmentID) segRef { return segRef{int(id>>56) - 1, int64(id&(1<<56-1)) - 1} }

func newWorld(sc Scenario, policy Policy, seed uint64) *world {
	w := &world{
		sc: sc, policy: policy, rng: rand.New(rand.NewPCG(seed, 0x73696d)),
		end:     seconds(sc.Minutes * 60),
		tracker: tracker.New(tracker.Config{Seed: seed}),
		newest:  -1,
		m:       newMeter(meanRate(sc)),
	}
	w.trackerWake = never
	for _, rate := range sc.Renditions {
		size := int64(bytesPerSecond(rate) * sc.SegmentS)
		w.layouts = append(w.layouts, integrity.Layout{Size: size, ChunkSize: integrity.ChunkSize(size)})
	}
	w.manifests = make([]*peer.Manifest, len(sc.Renditions))
	if !sc.Live {
		for r := range sc.Renditions {
			w.manifests[r] = w.manifest(r, 0, int64(math.Ceil(sc.FilmS/sc.SegmentS))-1)
		}
	}
	w.arrivals()
	if sc.Live {
		w.liveEdge(0)
	}
	if sc.ExodusS > 0 {
		w.q.push(event{at: seconds(sc.ExodusS), kind: evExodus})
	}
	return w
}

// manifest lists the segments first to last of a rendition.
func (w *world) manifest(rendition int, first, last int64) *peer.Manifest {
	m := &peer.Manifest{Rendition: "r" + string(rune('0'+rendition)), Number: uint64(rendition) + 1, Live: w.sc.Live}
	dur := seconds(w.sc.SegmentS)
	for n := first; n <= last; n++ {
		id := wire.SegmentID(uint64(rendition+1)<<56 | uint64(n+1))
		m.Segments = append(m.Segments, peer.Segment{ID: id, Sequence: n, Start: time.Duration(n) * dur, Duration: dur, Size: w.layouts[rendition].Size})
	}
	return m
}

// liveEdge brings the live playlists to what is complete at time t. Media time
// began window_s before the simulation, so that the first playlist is full.
func (w *world) liveEdge(t time.Duration) {
	dur := seconds(w.sc.SegmentS)
	newest := int64((t+seconds(w.sc.WindowS))/dur) - 1
	if newest == w.newest {
		return
	}
	w.newest = newest
	first := newest + 1 - int64(math.Round(w.sc.WindowS/w.sc.SegmentS))
	for r := range w.manifests {
		w.manifests[r] = w.manifest(r, max(0, first), newest)
	}
}

// edgeAt is when the live segment of a sequence is complete.
func (w *world) edgeAt(sequence int64) time.Duration {
	return time.Duration(sequence+1)*seconds(w.sc.SegmentS) - seconds(w.sc.WindowS)
}

// arrivals draws when viewers come, and with it all their properties.
func (w *world) arrivals() {
	sc := &w.sc
	at := time.Duration(0)
	n := sc.Viewers
	times := make([]time.Duration, n)
	for i := range times {
		if sc.Poisson {
			at += time.Duration(w.rng.ExpFloat64() * sc.ArriveS / float64(n) * float64(time.Second))
			times[i] = at
		} else if n > 1 {
			times[i] = seconds(sc.ArriveS * float64(i) / float64(n))
		}
	}
	for i, t := range times {
		w.nodes = append(w.nodes, w.newNode(int32(i)))
		w.q.push(event{at: t, kind: evArrive, to: int32(i)})
	}
}

func (w *world) newNode(id int32) node {
	sc, r := &w.sc, w.rng
	n := node{id: id, down: bytesPerSecond(sc.DownMbps), up: bytesPerSecond(sc.UpMbps), wakeAt: never}
	if sc.UpMinMbps > 0 {
		mu := (math.Log(sc.UpMinMbps) + math.Log(sc.UpMaxMbps)) / 2
		sigma := (math.Log(sc.UpMaxMbps) - math.Log(sc.UpMinMbps)) / 2 / 1.96
		up := math.Exp(mu + sigma*r.NormFloat64())
		n.up = bytesPerSecond(min(max(up, sc.UpMinMbps), sc.UpMaxMbps))
	}
	n.region = r.IntN(sc.Regions)
	n.noUpload = r.Float64() < sc.NoUpload
	n.symmetric = r.Float64() < sc.SymmetricNAT
	n.rend = r.IntN(len(sc.Renditions))
	switch x := r.Float64(); {
	case x < sc.Polluters:
		n.polluter = true
	case x < sc.Polluters+sc.SlowPeers:
		n.up = 1000
	case x < sc.Polluters+sc.SlowPeers+sc.FalseHaves:
		n.liar = true
	}
	return n
}

// latency is the one-way time between two viewers: fixed for the pair.
func (w *world) latency(a, b int32) time.Duration {
	h := (uint64(min(a, b))<<32 | uint64(max(a, b))) * 0x9e3779b97f4a7c15
	h ^= h >> 29
	h *= 0xbf58476d1ce4e5b9
	f := float64(h>>11) / (1 << 53)
	d := millis(w.sc.LatencyMinMS + f*(w.sc.LatencyMaxMS-w.sc.LatencyMinMS))
	if w.nodes[a].region != w.nodes[b].region {
		d += millis(w.sc.RegionMS)
	}
	return d
}

// connects says whether NATs let two viewers reach each other without a relay:
// two symmetric ones do not (RFC 5128, section 3.3; RFC 4787).
func (w *world) connects(a, b int32) bool { return !(w.nodes[a].symmetric && w.nodes[b].symmetric) }

func (w *world) origin() time.Duration { return millis(w.sc.OriginMS) }

// putMessage keeps a message until it arrives.
func (w *world) putMessage(m *wire.Message) int32 {
	if n := len(w.freeMessages); n > 0 {
		i := w.freeMessages[n-1]
		w.freeMessages = w.freeMessages[:n-1]
		w.messages[i] = *m
		return i
	}
	w.messages = append(w.messages, *m)
	return int32(len(w.messages) - 1)
}

func (w *world) putSignal(m *signal.Message) int32 {
	if n := len(w.freeSignals); n > 0 {
		i := w.freeSignals[n-1]
		w.freeSignals = w.freeSignals[:n-1]
		w.signals[i] = m
		return i
	}
	w.signals = append(w.signals, m)
	return int32(len(w.signals) - 1)
}

func (w *world) takeSignal(i int32) *signal.Message {
	m := w.signals[i]
	w.signals[i] = nil
	w.freeSignals = append(w.freeSignals, i)
	return m
}

func (n *node) link(to int32) *link {
	for i := range n.links {
		if n.links[i].to == to {
			return &n.links[i]
		}
	}
	return nil
}

func (n *node) unlink(to int32) {
	for i := range n.links {
		if n.links[i].to == to {
			n.links[i] = n.links[len(n.links)-1]
			n.links = n.links[:len(n.links)-1]
			return
		}
	}
}

func peerID(n int32) wire.PeerID { return wire.PeerID(n) + 1 }
func nodeOf(p wire.PeerID) int32 { return int32(p - 1) }

// meanRate is the demand of one viewer in bytes/s.
func meanRate(sc Scenario) float64 {
	sum := 0.0
	for _, r := range sc.Renditions {
		sum += bytesPerSecond(r)
	}
	return sum / float64(len(sc.Renditions))
}

// gives is what a viewer can upload, in bytes/s, for the ceiling.
func (n *node) gives() float64 {
	if n.noUpload {
		return 0
	}
	return n.up
}
