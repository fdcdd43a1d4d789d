package sim

import (
	"math/rand/v2"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// windowRandom is the baseline policy window-random. It stands for the leading
// open-source browser engine, tuned: within 4 s of the playhead always from the
// origin; beyond it only from peers, one peer a segment, three at a time, whole
// segments announced once complete; and each peer takes one not yet announced
// coming segment from the origin every 1 + U(0, P) seconds (P = its neighbors)
// with probability N/(P+1), N counting the first 2(P+1) such segments.
//
// Where that leaves room it does what that engine does: a transfer from a peer
// that comes within 4 s is stopped and its rest taken from the origin, two
// fetches at a time; a peer is drawn among those not asked for another segment;
// two seconds without a chunk end a transfer; a viewer that changes the
// rendition leaves the neighbors of the old one.
type windowRandom struct {
	id        wire.PeerID
	rng       *rand.Rand
	upload    bool
	live      bool
	goal      time.Duration // how far ahead of the playhead it looks; 0: all there is
	manifest  *peer.Manifest
	rendition string
	pos, at   time.Duration
	playing   bool

	segs      map[wire.SegmentID]*wrSegment // for look-ups only
	known     []*wrSegment                  // the same, in order
	order     []*wrSegment                  // those in the playlist
	neighbors []*wrNeighbor
	loads     int // from peers, under way
	fetches   int // from the origin, under way
	randomAt  time.Duration
	announce  time.Duration
	planned   time.Duration // when plan ran
	nextAt    time.Duration // when it has something to do
	swarm     int
	queue     []wrItem
	inFlight  int64
	report    signal.Report
	out       []peer.Effect
}

// wrSegment is a segment as windowRandom knows it.
type wrSegment struct {
	s      peer.Segment
	layout integrity.Layout // once its size is known
	have   uint64
	whole  bool
	origin bool        // a fetch is under way
	from   *wrNeighbor // whom it is asked of
	heard  time.Duration
	owners []*wrNeighbor
	listed bool // in the playlist
}

// wrItem is a chunk that a neighbor asked for.
type wrItem struct {
	n     *wrNeighbor
	seg   *wrSegment
	index uint8
}

// wrNeighbor is a neighbor of windowRandom.
type wrNeighbor struct {
	id       wire.PeerID
	open, up bool
	busy     bool // it is asked for a segment
}
