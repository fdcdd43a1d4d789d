package sim

import (
	"math"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/tracker"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// world is one run.
type world struct {
	sc     Scenario
	policy Policy
	now    time.Duration
	end    time.Duration
	q      eventQueue
	nodes  []*node
	shards []shard
	parts  [][]event // of a window, by shard
	trace  uint64    // hash of the events of the edge so far

	tracker     *tracker.Swarm
	trackerWake time.Duration

	// What events refer to by number.
	messages pool[letter]
	signals  pool[*signal.Message]

	dur      time.Duration      // of a segment
	editions []edition          // of the playlists: of a VOD one, of a live stream those of the window at hand
	layouts  []integrity.Layout // by rendition
	shelf    int64              // segments of a rendition that holdings have room for, a power of two
	scarceBy time.Duration      // until when the edge says that the origin is scarce
	originAt time.Duration      // when the origin's uplink is free

	m     meter
	onGot func(now time.Duration, n *node, id wire.SegmentID, chunk uint8, fromPeer bool) // for tests
}

// pool keeps values that events refer to.
type pool[T any] struct {
	all  []T
	free []int32
}

func (p *pool[T]) put(v T) int32 {
	if n := len(p.free); n > 0 {
		i := p.free[n-1]
		p.free = p.free[:n-1]
		p.all[i] = v
		return i
	}
	p.all = append(p.all, v)
	return int32(len(p.all) - 1)
}

func (p *pool[T]) drop(i int32) {
	var zero T
	p.all[i] = zero
	p.free = append(p.free, i)
}

// edition is the playlists from when a segment is complete until the next is.
type edition struct {
	newest    int64            // sequence of that segment
	manifests []*peer.Manifest // by rendition
}

// segmentID makes the id of a segment: the simulator needs no hash.
func segmentID(rendition int, sequence int64) wire.SegmentID {
	return wire.SegmentID(uint64(rendition+1)<<56 | uint64(sequence+1))
}

// segRef says what a segment id stands for.
type segRef struct {
	rendition int
	sequence  int64
}

// ref gives the rendition and sequence that a segment id was made of.
func ref(id wire.SegmentID) segRef { return segRef{int(id>>56) - 1, int64(id&(1<<56-1)) - 1} }

func newWorld(sc Scenario, policy Policy) *world {
	w := &world{
		sc: sc, policy: policy,
		end:         seconds(sc.Minutes * 60),
		dur:         seconds(sc.SegmentS),
		tracker:     tracker.New(tracker.Config{Seed: sc.Seed}),
		trackerWake: never,
		shards:      make([]shard, shards),
		q:           newEventQueue(min(millis(sc.LatencyMinMS), millis(sc.OriginMS))),
		m:           newMeter(&sc),
	}
	for _, rate := range sc.Renditions {
		size := max(1, int64(bytesPerSecond(rate)*sc.SegmentS))
		w.layouts = append(w.layouts, integrity.Layout{Size: size, ChunkSize: integrity.ChunkSize(size)})
	}
	for i := range w.shards {
		w.shards[i].world = w
	}
	last := int64(math.Ceil(sc.FilmS/sc.SegmentS)) - 1
	if sc.Live {
		// What engines keep of a live stream that was played, and then some.
		last = int64((sc.WindowS + 60) / sc.SegmentS)
	}
	for w.shelf = 1; w.shelf <= last; w.shelf *= 2 {
	}
	if !sc.Live {
		w.editions = []edition{w.edition(0, last)}
	}
	w.arrivals()
	if sc.ExodusS > 0 {
		w.q.push(&event{at: seconds(sc.ExodusS), kind: evExodus, to: edge})
	}
	if sc.PathsDieS > 0 {
		w.q.push(&event{at: seconds(sc.PathsDieS), kind: evPaths, to: edge})
	}
	return w
}

// manifest lists the segments first to last of a rendition.
func (w *world) manifest(rendition int, first, last int64) *peer.Manifest {
	m := &peer.Manifest{Rendition: "r" + strconv.Itoa(rendition), Number: uint64(rendition) + 1, Live: w.sc.Live,
		Segments: make([]peer.Segment, 0, last-first+1)}
	for n := first; n <= last; n++ {
		m.Segments = append(m.Segments, peer.Segment{ID: segmentID(rendition, n), Sequence: n, Start: w.start(n), Duration: w.dur, Size: w.layouts[rendition].Size})
	}
	return m
}

// edition makes the playlists that list the segments first to last.
func (w *world) edition(first, last int64) edition {
	e := edition{newest: last}
	for r := range w.sc.Renditions {
		e.manifests = append(e.manifests, w.manifest(r, first, last))
	}
	return e
}

// newestAt is the sequence of the newest live segment that is complete at time t.
// Media time began window_s before the simulation, so that the first playlist is full.
func (w *world) newestAt(t time.Duration) int64 { return int64((t+seconds(w.sc.WindowS))/w.dur) - 1 }

// liveEdge makes ready the live playlists of a stretch of time.
func (w *world) liveEdge(from, until time.Duration) {
	first, last := w.newestAt(from), w.newestAt(until)
	for len(w.editions) > 0 && w.editions[0].newest < first {
		w.editions = w.editions[1:]
	}
	for n := first + int64(len(w.editions)); n <= last; n++ {
		w.editions = append(w.editions, w.edition(max(0, n+1-int64(math.Round(w.sc.WindowS/w.sc.SegmentS))), n))
	}
}

// manifestAt gives the playlist of a rendition at time t of the window at hand.
func (w *world) manifestAt(t time.Duration, rendition int) *peer.Manifest {
	e := &w.editions[0]
	if w.sc.Live {
		e = &w.editions[w.newestAt(t)-e.newest]
	}
	return e.manifests[rendition]
}

// edgeAt is when the live segment of a sequence is complete.
func (w *world) edgeAt(sequence int64) time.Duration {
	return time.Duration(sequence+1)*w.dur - seconds(w.sc.WindowS)
}

// start is where a segment begins, in media time.
func (w *world) start(sequence int64) time.Duration { return time.Duration(sequence) * w.dur }

func (w *world) chunkBytes(rendition int, chunk uint8) int64 {
	from, to := w.layouts[rendition].Range(int(chunk))
	return to - from
}

// arrivals draws when viewers come, and with it all their properties.
func (w *world) arrivals() {
	r := rand.New(rand.NewPCG(w.sc.Seed, 0x61727269))
	at, n := 0.0, w.sc.Viewers
	for i := range n {
		if w.sc.Poisson {
			at += float64(r.ExpFloat64() * w.sc.ArriveS / float64(n))
		} else {
			at = w.sc.ArriveS * float64(i) / float64(n)
		}
		w.newcomer(seconds(at))
	}
}

// newcomer has one more viewer come.
func (w *world) newcomer(at time.Duration) {
	id := int32(len(w.nodes))
	w.nodes = append(w.nodes, newNode(&w.sc, id))
	w.q.push(&event{at: at, kind: evArrive, to: id})
}

// origin is the one-way delay to the origin, which is also the edge.
func (w *world) origin() time.Duration { return millis(w.sc.OriginMS) }

func seconds(s float64) time.Duration { return time.Duration(s * float64(time.Second)) }

func millis(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// bytesPerSecond turns Mbit/s into bytes/s.
func bytesPerSecond(mbps float64) float64 { return mbps * 1e6 / 8 }

// taking is the time that bytes take at a rate in bytes/s.
func taking(bytes int64, rate float64) time.Duration {
	return time.Duration(float64(bytes) / rate * float64(time.Second))
}
