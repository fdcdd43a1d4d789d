// Package store keeps the bytes of segments while they come: chunk by chunk from
// peers and from the origin, or as the origin's plain stream where nothing is
// known to check them against. Readers wait for the next byte in order.
package store

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Errors of Reader.
var (
	// ErrGone: the segment was evicted before it was complete.
	ErrGone = errors.New("segment was given up")
	// ErrStopped: the last fetch from the origin failed and none follows yet.
	ErrStopped = errors.New("origin did not deliver the segment")
	// ErrChanged: what comes is of another version than what was read.
	ErrChanged = errors.New("segment has changed")
)

// Store keeps segments by id. It is safe for concurrent use.
type Store struct {
	mu       sync.Mutex
	segments map[wire.SegmentID]*Segment
	complete func(wire.SegmentID)
}

// New makes an empty store. complete, if not nil, is called after all bytes of a
// segment have come, on the goroutine that brought the last of them.
func New(complete func(wire.SegmentID)) *Store {
	return &Store{segments: map[wire.SegmentID]*Segment{}, complete: complete}
}

// Prove sets what the chunks of a segment are checked against, and returns the segment
// and whether p is its proof now. The proof that was issued last counts. One that is newer
// than the one in use begins the segment anew: its bytes go, and readers of them get
// ErrGone unless the segment is complete. The origin's plain stream stays.
func (s *Store) Prove(id wire.SegmentID, p Proof) (g *Segment, ok bool) {
	g = s.Segment(id)
	ok, anew := g.prove(p)
	if !anew {
		return g, ok
	}
	next := s.empty(id)
	next.former = g.proofs()
	next.prove(p)
	s.mu.Lock()
	if s.segments[id] != g { // it was evicted, or begun anew, meanwhile
		s.mu.Unlock()
		return s.Prove(id, p)
	}
	s.segments[id] = next
	s.mu.Unlock()
	g.update(func() { g.gone = true })
	return next, true
}

// Segment gives the segment with an id, which it makes where there is none.
func (s *Store) Segment(id wire.SegmentID) *Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	g := s.segments[id]
	if g == nil {
		g = s.empty(id)
		s.segments[id] = g
	}
	return g
}

func (s *Store) empty(id wire.SegmentID) *Segment {
	return &Segment{ID: id, complete: s.complete, size: -1, changed: make(chan struct{})}
}

// Lookup gives the segment with an id, or nil.
func (s *Store) Lookup(id wire.SegmentID) *Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.segments[id]
}

// Evict forgets a segment. Readers of one that is complete go on; those of
// another one get ErrGone.
func (s *Store) Evict(id wire.SegmentID) {
	s.mu.Lock()
	g := s.segments[id]
	delete(s.segments, id)
	s.mu.Unlock()
	if g != nil {
		g.update(func() { g.gone = true })
	}
}

// All gives the segments there are, in no order.
func (s *Store) All() []*Segment {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := make([]*Segment, 0, len(s.segments))
	for _, g := range s.segments {
		out = append(out, g)
	}
	return out
}

// Proof is what vouches for a segment among peers.
type Proof struct {
	Path   string // what the token says, for the scope of passes
	Token  string // the segment token
	Hashes []byte
	Layout integrity.Layout
	Root   [integrity.HashSize]byte
	// Issued is when the token was issued, zero if it does not say, and Expires when it
	// expires.
	Issued, Expires time.Time
}

// maxFormer is how many proofs of other bytes of a segment are kept.
const maxFormer = 4

// Segment is one segment. It is safe for concurrent use.
type Segment struct {
	ID       wire.SegmentID
	complete func(wire.SegmentID)

	mu      sync.Mutex
	changed chan struct{} // closed at the next change
	gone    bool
	stopped error       // the last fetch failed; nil while one is under way
	header  http.Header // of the origin's answer, nil if there was none
	size    int64       // -1 if not known
	whole   bool

	proof  *Proof
	former []Proof  // of other bytes
	chunks [][]byte // by index, once there is a proof
	have   uint64

	raw []byte // the origin's stream, where there is no proof

	versions versions
}

// update changes the segment and wakes those who wait.
func (g *Segment) update(f func()) {
	g.mu.Lock()
	was := g.whole
	f()
	now := g.whole
	close(g.changed)
	g.changed = make(chan struct{})
	g.mu.Unlock()
	if now && !was && g.complete != nil {
		g.complete(g.ID)
	}
}

// prove takes a proof: ok reports whether it is of the bytes that are in use now, and
// anew that it is newer, and the bytes that are here are not its own.
func (g *Segment) prove(p Proof) (ok, anew bool) {
	g.update(func() {
		switch {
		case g.proof == nil:
			ok = true
			g.proof, g.chunks = &p, make([][]byte, p.Layout.Chunks())
			if g.size < 0 {
				g.size = p.Layout.Size
			}
		case g.proof.Root == p.Root:
			ok = true
		case !p.Issued.After(g.proof.Issued):
			g.addFormer(p)
		case g.raw != nil:
			ok = true
			g.addFormer(*g.proof)
			g.proof, g.chunks, g.have = &p, make([][]byte, p.Layout.Chunks()), 0
		default:
			anew = true
		}
	})
	return ok, anew
}

// addFormer keeps a proof of other bytes. g.mu is held.
func (g *Segment) addFormer(p Proof) {
	if slices.ContainsFunc(g.former, func(f Proof) bool { return f.Root == p.Root }) {
		return
	}
	g.former = append(g.former[max(0, len(g.former)+1-maxFormer):], p)
}

// proofs gives all proofs that were seen, the one in use last.
func (g *Segment) proofs() []Proof {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append(slices.Clone(g.former[max(0, len(g.former)+1-maxFormer):]), *g.proof)
}

// Proofs gives the proof in use, and those of other bytes whose statements are valid at a
// time.
func (g *Segment) Proofs(now time.Time) (all []Proof) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.proof != nil {
		all = append(all, *g.proof)
	}
	for _, p := range g.former {
		if now.Before(p.Expires) {
			all = append(all, p)
		}
	}
	return all
}

// Proof gives the proof, or nil.
func (g *Segment) Proof() *Proof {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.proof
}

// PutChunk checks a chunk against the proof and keeps it. The store owns data
// from now on. The error wraps integrity.ErrChunk; a chunk that is here already
// is no error.
func (g *Segment) PutChunk(i int, data []byte) error {
	p := g.Proof()
	if p == nil {
		return fmt.Errorf("%w: there is no proof to check it against", integrity.ErrChunk)
	}
	if err := p.Layout.Check(p.Hashes, i, data); err != nil {
		return err
	}
	g.update(func() { g.put(i, data) })
	return nil
}

// put keeps a chunk that was checked. g.mu is held.
func (g *Segment) put(i int, data []byte) {
	if g.chunks[i] != nil {
		return
	}
	start, _ := g.proof.Layout.Range(i)
	g.versions.compare(start, data, 0, g.raw)
	g.chunks[i] = data
	g.have |= 1 << i
	if g.have == wire.All(len(g.chunks)) {
		g.whole = true
		if g.versions.differ {
			g.raw = nil
			g.versions.turn++
		}
	}
}

// Chunk gives a chunk that was checked, or nil. It must not be changed.
func (g *Segment) Chunk(i int) []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i < 0 || i >= len(g.chunks) {
		return nil
	}
	return g.chunks[i]
}

// Have is the mask of the chunks that were checked.
func (g *Segment) Have() uint64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.have
}

// Begin says that a fetch from the origin is under way, with the header of its
// answer once it is known.
func (g *Segment) Begin(header http.Header) {
	g.update(func() {
		g.stopped = nil
		if header != nil {
			g.header = header
		}
	})
}

// Empty reports whether no byte has come yet.
func (g *Segment) Empty() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.have == 0 && len(g.raw) == 0
}

// Stop says that a fetch from the origin failed.
func (g *Segment) Stop(err error) {
	g.update(func() { g.stopped = fmt.Errorf("%w: %w", ErrStopped, err) })
}

// Stopped is why the last fetch from the origin failed, or nil. It wraps
// ErrStopped.
func (g *Segment) Stopped() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.stopped
}

// Header is that of the origin's answer, nil if none came. It must not be
// changed.
func (g *Segment) Header() http.Header {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.header
}

// StartRaw begins the origin's plain stream of size bytes, -1 if not known.
func (g *Segment) StartRaw(size int64) {
	g.update(func() {
		if g.whole {
			return
		}
		g.versions.begin(g.raw)
		g.raw = make([]byte, 0, max(0, min(size, 16<<20)))
		if size >= 0 {
			g.size = size
		}
	})
}

// AppendRaw adds the next bytes of the stream.
func (g *Segment) AppendRaw(p []byte) {
	g.update(func() {
		if !g.whole {
			g.versions.stream(int64(len(g.raw)), p, g.proof, g.chunks)
			g.raw = append(g.raw, p...)
		}
	})
}

// FinishRaw says that the stream has ended as it should: the segment is whole.
func (g *Segment) FinishRaw() {
	g.update(func() {
		if !g.whole {
			g.whole, g.size = true, int64(len(g.raw))
		}
	})
}

// AdoptRaw takes the chunks that are missing from a finished stream, if it
// bears the proof out. It returns the mask of what was taken.
func (g *Segment) AdoptRaw() (taken uint64) {
	g.mu.Lock()
	p, raw := g.proof, g.raw
	if p == nil || !g.whole || int64(len(raw)) != p.Layout.Size {
		g.mu.Unlock()
		return 0
	}
	g.mu.Unlock()
	for i := range p.Layout.Chunks() {
		from, to := p.Layout.Range(i)
		if p.Layout.Check(p.Hashes, i, raw[from:to]) == nil {
			taken |= 1 << i
		}
	}
	if bits.OnesCount64(taken) != p.Layout.Chunks() {
		return 0
	}
	g.update(func() {
		taken &^= g.have
		for i := range p.Layout.Chunks() {
			from, to := p.Layout.Range(i)
			g.put(i, raw[from:to:to])
		}
		g.raw = nil
	})
	return taken
}

// Whole says whether all bytes are here.
func (g *Segment) Whole() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.whole
}

// Size is the number of bytes of the segment, -1 if not known yet.
func (g *Segment) Size() int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.size
}

// Bytes gives all bytes of a segment that is whole, else nil.
func (g *Segment) Bytes() []byte {
	g.mu.Lock()
	defer g.mu.Unlock()
	if !g.whole {
		return nil
	}
	out := make([]byte, 0, g.size)
	for int64(len(out)) < g.size {
		next := g.from(int64(len(out)))
		if next == nil {
			return nil
		}
		out = append(out, next...)
	}
	return out
}

// from gives bytes from an offset on, as many as lie together, nil for none.
// g.mu is held. What it gives does not change any more.
func (g *Segment) from(offset int64) []byte {
	if offset < int64(len(g.raw)) {
		return g.raw[offset:len(g.raw):len(g.raw)]
	}
	if g.proof == nil || (g.versions.differ && g.raw != nil) {
		return nil // of two versions, the origin's
	}
	i := int(offset / int64(g.proof.Layout.ChunkSize))
	if offset >= g.proof.Layout.Size || g.chunks[i] == nil {
		return nil
	}
	start, _ := g.proof.Layout.Range(i)
	return g.chunks[i][offset-start:]
}

// Wait waits until there are bytes at offset and gives them, or nil at the end of
// the segment. The error is that of ctx, or wraps ErrGone or ErrStopped.
func (g *Segment) Wait(ctx context.Context, offset int64) ([]byte, error) {
	return g.Reader(offset).Next(ctx)
}
