package sim

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// node is a viewer: its engine, its links, its player. Nodes are numbered from 0
// in the order of arrival; the peer id is the number plus one. All chance of a
// node is its own, so that the same viewers come, switch and go under every policy.
type node struct {
	id       int32
	nat      nat
	here     bool // it has come and not gone
	joined   bool // its session is open
	noUpload bool
	polluter bool // sends wrong chunks
	liar     bool // announces what it does not have
	mute     bool // a liar that never rejects
	client   client
	wakeAt   time.Duration // the earliest call that is under way to the client
	wakeNext time.Duration // the one after it
	trace    uint64        // hash of its events so far

	to               []int32 // whom links lead to
	links            []link  // connections, open or being opened
	up, down         float64 // bytes/s
	chunkRate        float64 // bytes/s that it gives chunks at, at most up
	upFree, downFree time.Duration

	rng     *rand.Rand
	held    []*signal.Message // that wait for the session
	fetches pool[fetch]       // from the origin, under way
	version int32             // of the newest link
	region  int
	cut     cut

	holdings holdings
	player   player
	tally    tally
}

// link is one side of a connection.
type link struct {
	version int32
	open    bool
	relayed bool
	latency time.Duration
	free    time.Duration // when all that was sent on it has left
}

// nat is how a viewer's NAT maps and filters (RFC 4787), as far as it decides
// who reaches whom.
type nat uint8

const (
	natOpen       nat = iota // endpoint-independent mapping, filters by address at most
	natRestricted            // endpoint-independent mapping, filters by address and port
	natSymmetric             // maps by destination
)

// reach says whether two viewers reach each other without a relay: a symmetric
// NAT's port is not what the edge saw, and another symmetric or port-restricted
// one lets nothing else in (RFC 5128, section 3.3 and 3.4; RFC 4787, section 5).
func reach(a, b nat) bool {
	if a > b {
		a, b = b, a
	}
	return b != natSymmetric || a == natOpen
}

func newNode(sc *Scenario, id int32) *node {
	r := rand.New(rand.NewPCG(sc.Seed, 0x6e6f6465<<32|uint64(id)))
	n := &node{id: id, rng: r, down: bytesPerSecond(sc.DownMbps), up: bytesPerSecond(sc.UpMbps), wakeAt: never, wakeNext: never}
	if sc.UpMinMbps > 0 {
		mu := (math.Log(sc.UpMinMbps) + math.Log(sc.UpMaxMbps)) / 2
		sigma := (math.Log(sc.UpMaxMbps) - math.Log(sc.UpMinMbps)) / 2 / 1.96
		up := math.Exp(mu + float64(sigma*r.NormFloat64()))
		n.up = bytesPerSecond(min(max(up, sc.UpMinMbps), sc.UpMaxMbps))
	}
	n.chunkRate = n.up
	n.region = r.IntN(sc.Regions)
	n.noUpload = r.Float64() < sc.NoUpload
	switch x := r.Float64(); {
	case x < sc.SymmetricNAT:
		n.nat = natSymmetric
	case x < sc.SymmetricNAT+sc.RestrictedNAT:
		n.nat = natRestricted
	}
	n.player.rend = r.IntN(len(sc.Renditions))
	switch x := r.Float64(); {
	case x < sc.Polluters:
		n.polluter = true
	case x < sc.Polluters+sc.SlowPeers:
		n.chunkRate = min(n.up, 1000)
	case x < sc.Polluters+sc.SlowPeers+sc.FalseHaves:
		n.liar, n.mute = true, r.IntN(2) == 0
	}
	return n
}

// gives is what a viewer can upload, in bytes/s, for the ceiling: faults apart,
// because the ceiling of a swarm does not know who is hostile.
func (n *node) gives() float64 {
	if n.noUpload {
		return 0
	}
	return n.up
}

func (n *node) link(to int32) *link {
	for i, x := range n.to {
		if x == to {
			return &n.links[i]
		}
	}
	return nil
}

// open gives the link to a neighbor if its channel is open.
func (n *node) open(to int32) *link {
	if l := n.link(to); l != nil && l.open {
		return l
	}
	return nil
}

func (n *node) addLink(to int32, latency time.Duration) int32 {
	n.version++
	n.to = append(n.to, to)
	n.links = append(n.links, link{version: n.version, latency: latency})
	return n.version
}

func (n *node) unlink(to int32) {
	for i, x := range n.to {
		if x == to {
			last := len(n.to) - 1
			n.to[i], n.links[i] = n.to[last], n.links[last]
			n.to, n.links = n.to[:last], n.links[:last]
			return
		}
	}
}

func peerID(n int32) wire.PeerID { return wire.PeerID(n) + 1 }
func nodeOf(p wire.PeerID) int32 { return int32(p - 1) }

// fetch is one request to the origin.
type fetch struct {
	seg       wire.SegmentID
	mask      uint64 // chunks not sent yet
	sending   uint8  // the chunk under way
	cancelled bool
	asked     time.Duration // when it was asked for
	began     time.Duration // when the headers came
	bytes     int64         // that came
}

// holdings are the truth of which verified chunks a viewer holds, by rendition and
// the low bits of the sequence. The engines do not see it.
type holdings []shelved

type shelved struct {
	id   wire.SegmentID
	mask uint64
}
