package peer

import (
	"math/bits"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// segments is the table of segments.
type segments struct {
	table  map[wire.SegmentID]*segment // for look-ups only
	recent [recent]*segment            // some of them, by the low bits of the id
	list   []*segment                  // the same as table, in the order they became known
	stored int64                       // bytes of segments stored
}

// recent is how many segments are found without the table.
const recent = 32

// segment is all that the engine knows of one segment.
type segment struct {
	Segment
	content
	demand
	sources
	offers
}

// content is what is here of a segment, and what is under way.
type content struct {
	chunks   int // number of chunks, 0 if not known
	layout   integrity.Layout
	root     uint32 // of the statement, or of what neighbors first said they have; 0 if not known
	issued   int64  // when the statement was issued
	all      uint64 // mask of all chunks
	have     uint64 // verified and stored
	asked    uint64 // asked of neighbors and not come
	checking uint64 // came from neighbors, with the driver for checking
	origin   uint64 // asked of the origin and not come
	proven   bool   // layout is known and may be vouched for to others
	whole    bool   // all bytes are stored, proven or not
	shut     bool   // must not be shared: the origin's bytes did not bear the proof out
}

// demand is when the player needs a segment.
type demand struct {
	wanted   bool          // it stands in the manifest, from the playhead on
	fresh    bool          // it was new to the manifest when that first listed it: fetchers are due
	near     bool          // plan: the deadline is near
	quick    bool          // plan: it is needed at once, and neighbors have all of it or take it
	due      time.Duration // plan: the deadline
	known    time.Duration // when the manifest first listed it
	slack    time.Duration // from then to its deadline
	needBy   time.Duration // when the player must have it, which waits for it; else never
	neededAt time.Duration // since when it waits
}

// sources is where a segment can be taken from.
type sources struct {
	theirs       []uint64      // by slot: what a neighbor has
	requested    []uint64      // by slot: what it was ever asked for
	owners       uint64        // slots of the neighbors that have any of it
	copies       int           // plan: their number
	disputed     []claim       // haves of other bytes than ours
	proofFrom    int           // slot of the neighbor asked for the proof, -1 if none
	proofBy      time.Duration // when that neighbor is given up
	held         []heldChunk   // came before the proof
	coming       time.Duration // until when the first neighbor that takes it from the origin is waited for, 0 if none does
	comingOf     int           // slot of that neighbor
	fetching     int           // fetches from the origin under way
	taken        uint64        // what neighbors take from the origin in stripes
	takenBy      time.Duration // until when taken counts
	cancelled    int           // fetches that were cancelled and whose end has not come
	fetchedAt    time.Duration // when the last fetch began
	fetched      int64         // bytes that came since
	fetchedWhole bool          // it was of all the segment
	failures     int           // of the origin, in a row
	retryAt      time.Duration
}

// offers is what neighbors are given of a segment.
type offers struct {
	told   uint64    // what neighbors were last told we have
	given  [64]uint8 // how often each chunk was given
	queued bool      // stands in the list of haves to send
}

// claim is a have that waits for a proof to say who is right.
type claim struct {
	slot, chunks int
	mask         uint64
	root         uint32
	asked        bool // its proof was asked for
}

type heldChunk struct {
	slot  int
	index uint8

	data, signature []byte
}

// sought says whether the player has still to play the segment, as far as the engine
// looks ahead, or waits for it.
func (s *segment) sought() bool { return s.wanted || s.needBy != never }

// missing is what is neither here nor on the way.
func (s *segment) missing() uint64 {
	if s.whole {
		return 0
	}
	return s.all &^ (s.have | s.asked | s.checking | s.origin)
}

// takenNow is what neighbors have lately said that they take from the origin; it is
// waited for as long as said.
func (s *segment) takenNow(now, long time.Duration) uint64 {
	if now >= s.takenBy {
		s.taken = 0
		s.takenBy = now + long
	}
	return s.taken
}

// chunkBytes is the size of a chunk, as far as it is known.
func (s *segment) chunkBytes() int64 {
	switch {
	case s.proven:
		return int64(s.layout.ChunkSize)
	case s.chunks > 0 && s.Size > 0:
		return max(1, s.Size/int64(s.chunks))
	}
	return integrity.MinChunkSize
}

// bytes is the size of the chunks of a mask, as far as it is known.
func (s *segment) bytes(mask uint64) int64 {
	if !s.proven {
		return int64(bits.OnesCount64(mask)) * s.chunkBytes()
	}
	n := int64(bits.OnesCount64(mask)) * int64(s.layout.ChunkSize)
	if mask>>uint(s.chunks-1)&1 == 1 {
		from, to := s.layout.Range(s.chunks - 1)
		n -= int64(s.layout.ChunkSize) - (to - from)
	}
	return n
}

// setTheirs notes what the neighbor of a slot has.
func (s *segment) setTheirs(slot int, mask uint64) {
	s.theirs[slot] = mask
	s.owners &^= 1 << slot
	if mask != 0 {
		s.owners |= 1 << slot
	}
}

// setChunks learns the number of chunks, from a have or a proof.
func (s *segment) setChunks(n int) {
	s.chunks, s.all = n, wire.All(n)
}

// lookup finds a segment of the table.
func (ss *segments) lookup(id wire.SegmentID) *segment {
	r := &ss.recent[id%recent]
	if s := *r; s != nil && s.ID == id {
		return s
	}
	s := ss.table[id]
	if s != nil {
		*r = s
	}
	return s
}

// entry finds a segment or makes a place for it.
func (e *Engine) entry(id wire.SegmentID) *segment {
	s := e.lookup(id)
	if s == nil {
		if len(e.list) >= maxTable {
			e.forgetOldest()
		}
		s = &segment{Segment: Segment{ID: id, Sequence: -1}, demand: demand{needBy: never},
			sources: sources{proofFrom: -1, theirs: make([]uint64, len(e.slots)), requested: make([]uint64, len(e.slots))}}
		e.table[id] = s
		e.list = append(e.list, s)
	}
	return s
}

// forgetOldest drops the oldest segment that is neither wanted nor stored.
func (e *Engine) forgetOldest() {
	for i, s := range e.list {
		if !s.wanted && s.have == 0 && !s.whole && s.fetching == 0 && s.asked|s.checking == 0 {
			e.forget(i)
			return
		}
	}
	for i, s := range e.list { // all are in use: give up one that was played
		if !s.wanted && s.fetching == 0 && s.asked|s.checking == 0 {
			e.evict(i)
			return
		}
	}
}

// forget takes entry i out of the table.
func (e *Engine) forget(i int) {
	s := e.list[i]
	delete(e.table, s.ID)
	if r := &e.recent[s.ID%recent]; *r == s {
		*r = nil
	}
	copy(e.list[i:], e.list[i+1:])
	e.list[len(e.list)-1] = nil
	e.list = e.list[:len(e.list)-1]
	e.unneed(s)
	if s.queued {
		for j, q := range e.haveQueue {
			if q == s {
				e.haveQueue = append(e.haveQueue[:j], e.haveQueue[j+1:]...)
				break
			}
		}
	}
}

// evict gives up what is stored of entry i, tells the neighbors, and the driver.
func (e *Engine) evict(i int) {
	s := e.list[i]
	e.stored -= s.storedBytes()
	e.takeBack(s)
	e.emit(Effect{Kind: Evict, Segment: s.ID})
	e.forget(i)
}

// takeBack tells the neighbors that nothing of s is to be had any more, and
// rejects what of it waits for the uplink.
func (e *Engine) takeBack(s *segment) {
	if s.told != 0 {
		for _, n := range e.slots {
			if n != nil && n.up {
				e.send(n, wire.Message{Type: wire.Have, Haves: []wire.SegmentHave{{Segment: s.ID, Chunks: uint8(s.chunks)}}})
			}
		}
		s.told = 0
	}
	e.unqueue(func(it *item) bool {
		if it.seg == s {
			e.send(it.n, wire.Message{Type: wire.Reject, Segment: s.ID, Mask: 1 << it.index, Reason: wire.RejectDenied})
		}
		return it.seg == s
	})
}

func (s *segment) storedBytes() int64 {
	if s.whole {
		return s.Size
	}
	return s.bytes(s.have)
}

// keepWithinBudget evicts what was played: of a live stream what is too old,
// and beyond CacheBytes what lies furthest behind the playhead.
func (e *Engine) keepWithinBudget(now time.Duration) {
	pos := e.playhead(now)
	for {
		worst := -1
		var worstEnd time.Duration
		for i, s := range e.list {
			if s.wanted || s.fetching > 0 || s.asked|s.checking != 0 {
				continue
			}
			end := s.Start + s.Duration
			if !s.whole && s.have == 0 {
				if e.live && s.known != 0 && end < pos-keepBehind {
					worst = i
					break
				}
				continue
			}
			if (e.live && end < pos-keepBehind) || e.stored > e.cfg.CacheBytes {
				if worst < 0 || end < worstEnd {
					worst, worstEnd = i, end
				}
			}
		}
		if worst < 0 {
			return
		}
		e.evict(worst)
	}
}

// draw is a number that is fixed for this peer and x and unlike that of other peers
// (SplitMix64, Steele et al. 2014).
func (e *Engine) draw(x uint64) uint64 {
	z := x ^ uint64(e.cfg.ID)*0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// chance is what is drawn for a segment.
func (e *Engine) chance(s *segment) uint64 { return e.draw(uint64(s.ID)) }

// fraction is chance as a number from 0 to 1.
func (e *Engine) fraction(s *segment) float64 { return float64(e.chance(s)>>11) / (1 << 53) }
