package sim

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

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
type windowRandom struct {
	id       wire.PeerID
	rng      *rand.Rand
	upload   bool
	goal     time.Duration
	manifest *peer.Manifest
	number   uint64
	pos, at  time.Duration
	playing  bool

	segs      map[wire.SegmentID]*wrSegment // for look-ups only
	order     []*wrSegment
	neighbors []*wrNeighbor
	loads     int // from peers, under way
	fetches   int
	randomAt  time.Duration
	announce  time.Duration
	asked     time.Duration
	swarm     int
	queue     []wrItem
	inFlight  int64
	report    signal.Report
	out       []peer.Effect
}

type wrSegment struct {
	s      peer.Segment
	chunks int
	have   uint64
	proven bool
	size   int64
	whole  bool
	origin bool
	from   *wrNeighbor
	heard  time.Duration // of the last chunk, or the request
	owners []*wrNeighbor
}

type wrNeighbor struct {
	id       wire.PeerID
	open, up bool
	noUpload bool
}

type wrItem struct {
	n     *wrNeighbor
	seg   *wrSegment
	index uint8
}

const wrTimeout = 5 * time.Second

func newWindowRandom(id int32, seed uint64, noUpload bool, goal time.Duration) *windowRandom {
	return &windowRandom{id: peerID(id), rng: rand.New(rand.NewPCG(seed, uint64(id)+7)), upload: !noUpload, goal: goal,
		segs: map[wire.SegmentID]*wrSegment{}, randomAt: never, swarm: -1}
}

func (c *windowRandom) Report() *signal.Report { return &c.report }

func (c *windowRandom) NextDeadline() time.Duration {
	return min(c.randomAt, c.announce, c.planAt())
}

// planAt is when a segment comes within 4 s of the playhead, or a peer's
// transfer times out.
func (c *windowRandom) planAt() time.Duration {
	at := never
	for _, s := range c.order {
		if s.whole || s.origin {
			continue
		}
		if s.from != nil {
			at = min(at, s.heard+wrTimeout)
		}
		if c.playing {
			at = min(at, c.at+s.s.Start-c.pos-4*time.Second)
		}
	}
	return max(at, c.asked+20*time.Millisecond)
}

func (c *windowRandom) emit(f peer.Effect) { c.out = append(c.out, f) }

func (c *windowRandom) send(n *wrNeighbor, m wire.Message) {
	c.emit(peer.Effect{Kind: peer.Send, Peer: n.id, Message: m})
}

func (c *windowRandom) neighbor(id wire.PeerID) *wrNeighbor {
	for _, n := range c.neighbors {
		if n.id == id {
			return n
		}
	}
	return nil
}

func (c *windowRandom) seg(id wire.SegmentID) *wrSegment {
	s := c.segs[id]
	if s == nil {
		s = &wrSegment{s: peer.Segment{ID: id}}
		c.segs[id] = s
	}
	return s
}

func (c *windowRandom) Step(now time.Duration, in *peer.Input) []peer.Effect {
	c.out = c.out[:0]
	if c.randomAt == never {
		c.randomAt = now + time.Second
	}
	switch in.Kind {
	case peer.ManifestIn:
		c.onManifest(in.Manifest)
	case peer.Play:
		c.pos, c.at, c.playing = in.Position, now, in.Playing
	case peer.NeighborUp:
		if n := c.neighbor(in.Peer); n != nil {
			n.open = true
			var flags uint8
			if !c.upload {
				flags = wire.FlagNoUpload
			}
			c.send(n, wire.Message{Type: wire.Hello, Version: wire.Version, Peer: c.id, Flags: flags})
		}
	case peer.NeighborDown:
		c.lose(in.Peer)
	case peer.Offered:
		n := c.neighbor(in.Peer)
		switch {
		case n != nil && !n.open && c.id < in.Peer:
		case n == nil && len(c.neighbors) >= 32:
			c.emit(peer.Effect{Kind: peer.Disconnect, Peer: in.Peer})
		default:
			if n != nil {
				c.lose(in.Peer)
			}
			c.neighbors = append(c.neighbors, &wrNeighbor{id: in.Peer})
			c.emit(peer.Effect{Kind: peer.Accept, Peer: in.Peer})
		}
	case peer.Receive:
		if n := c.neighbor(in.Peer); n != nil {
			c.message(now, n, in.Message)
		}
	case peer.ChunkChecked:
		c.checked(now, in)
	case peer.Sent:
		c.inFlight -= in.Bytes
	case peer.OriginProof:
		s := c.seg(in.Segment)
		s.chunks, s.proven, s.size = in.Layout.Chunks(), true, in.Layout.Size
	case peer.OriginChunk:
		s := c.seg(in.Segment)
		c.report.OriginBytes += in.Bytes
		if s.have>>in.Chunk&1 == 1 {
			c.report.DuplicateBytes += in.Bytes
		}
		c.gain(now, s, in.Chunk)
	case peer.OriginDone:
		c.fetches--
		c.seg(in.Segment).origin = false
	case peer.Joined:
		c.announce = now
	case peer.SignalIn:
		c.onPeers(in.Signal)
	}
	if now >= c.announce {
		c.announce = now + 60*time.Second
		want := max(0, 24-len(c.neighbors))
		if want > 0 && (c.swarm < 0 || len(c.neighbors) < c.swarm-1) {
			c.announce = now + 8*time.Second
		}
		c.emit(peer.Effect{Kind: peer.Signal, Signal: &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{
			Rendition: "all", Live: true, Neighbors: len(c.neighbors), Want: want, Upload: c.upload}}})
	}
	c.plan(now)
	for len(c.queue) > 0 && c.inFlight < 128<<10 {
		it := c.queue[0]
		c.queue = c.queue[1:]
		bytes := it.seg.size / int64(it.seg.chunks)
		c.inFlight += it.seg.layoutBytes(it.index)
		c.report.UploadedBytes += bytes
		c.emit(peer.Effect{Kind: peer.SendChunk, Peer: it.n.id, Segment: it.seg.s.ID, Chunk: it.index})
	}
	return c.out
}

// layoutBytes is the size of a chunk.
func (s *wrSegment) layoutBytes(i uint8) int64 {
	k := int64(16 << 10)
	for k*32 < s.size {
		k *= 2
	}
	return min(k, s.size-int64(i)*k)
}

func (c *windowRandom) onManifest(m *peer.Manifest) {
	c.manifest, c.number = m, m.Number
	c.order = c.order[:0]
	for i := range m.Segments {
		s := c.seg(m.Segments[i].ID)
		s.s = m.Segments[i]
		c.order = append(c.order, s)
	}
}

func (c *windowRandom) onPeers(m *signal.Message) {
	if m.Type != signal.Peers {
		return
	}
	c.swarm = m.SwarmSize
	for _, p := range m.Peers {
		if p.ID != c.id && c.neighbor(p.ID) == nil && len(c.neighbors) < 24 {
			c.neighbors = append(c.neighbors, &wrNeighbor{id: p.ID})
			c.emit(peer.Effect{Kind: peer.Connect, Peer: p.ID})
		}
	}
}

func (c *windowRandom) lose(id wire.PeerID) {
	for i, n := range c.neighbors {
		if n.id != id {
			continue
		}
		c.neighbors = slices.Delete(c.neighbors, i, i+1)
		for _, s := range c.order {
			if j := slices.Index(s.owners, n); j >= 0 {
				s.owners = slices.Delete(s.owners, j, j+1)
			}
			if s.from == n {
				s.from = nil
				c.loads--
			}
		}
		c.queue = slices.DeleteFunc(c.queue, func(it wrItem) bool { return it.n == n })
		return
	}
}

func (c *windowRandom) message(now time.Duration, n *wrNeighbor, m *wire.Message) {
	switch m.Type {
	case wire.Hello:
		n.noUpload = m.Flags&wire.FlagNoUpload != 0
		n.up = true
		var haves []wire.SegmentHave
		for _, s := range c.order {
			if s.whole && s.proven {
				haves = append(haves, wire.SegmentHave{Segment: s.s.ID, Chunks: uint8(s.chunks), Mask: s.have})
			}
		}
		if c.upload && len(haves) > 0 {
			c.send(n, wire.Message{Type: wire.Have, Haves: haves})
		}
	case wire.Have:
		for _, h := range m.Haves {
			s := c.seg(h.Segment)
			s.chunks = int(h.Chunks)
			if !slices.Contains(s.owners, n) {
				s.owners = append(s.owners, n)
			}
		}
	case wire.Request:
		s := c.seg(m.Segment)
		if !s.whole || !s.proven {
			return
		}
		for mask := m.Mask; mask != 0; mask &= mask - 1 {
			c.queue = append(c.queue, wrItem{n, s, uint8(bits.TrailingZeros64(mask))})
		}
	case wire.Cancel:
		c.queue = slices.DeleteFunc(c.queue, func(it wrItem) bool { return it.n == n && it.seg.s.ID == m.Segment })
	case wire.Chunk:
		s := c.seg(m.Segment)
		if s.from == n {
			s.heard = now
		}
		if s.have>>m.Index&1 == 1 || s.whole {
			c.report.DuplicateBytes += int64(m.Total)
			return
		}
		c.emit(peer.Effect{Kind: peer.CheckChunk, Peer: n.id, Segment: m.Segment, Chunk: m.Index})
		s.size = max(s.size, int64(m.Total)*int64(s.chunks))
	}
}

func (c *windowRandom) checked(now time.Duration, in *peer.Input) {
	s := c.seg(in.Segment)
	if !in.OK {
		c.report.BadChunks++
		c.emit(peer.Effect{Kind: peer.Disconnect, Peer: in.Peer})
		c.lose(in.Peer)
		return
	}
	if s.s.Size > 0 {
		s.size = s.s.Size
	}
	c.report.PeerBytes += s.layoutBytes(in.Chunk)
	s.proven = true
	c.gain(now, s, in.Chunk)
}

func (c *windowRandom) gain(now time.Duration, s *wrSegment, chunk uint8) {
	s.have |= 1 << chunk
	if s.whole || s.have != wire.All(s.chunks) {
		return
	}
	s.whole = true
	if s.from != nil {
		c.send(s.from, wire.Message{Type: wire.Cancel, Segment: s.s.ID, Mask: ^uint64(0)})
		s.from = nil
		c.loads--
	}
	c.emit(peer.Effect{Kind: peer.Complete, Segment: s.s.ID})
	if c.upload {
		h := []wire.SegmentHave{{Segment: s.s.ID, Chunks: uint8(s.chunks), Mask: s.have}}
		for _, n := range c.neighbors {
			if n.up {
				c.send(n, wire.Message{Type: wire.Have, Haves: h})
			}
		}
	}
}

// plan is the policy.
func (c *windowRandom) plan(now time.Duration) {
	c.asked = now
	if c.manifest == nil {
		return
	}
	pos := c.pos
	if c.playing {
		pos += now - c.at
	}
	var unheard []*wrSegment
	for _, s := range c.order {
		if s.s.Start+s.s.Duration <= pos || (c.goal > 0 && s.s.Start > pos+c.goal) {
			continue
		}
		if s.from != nil && now-s.heard >= wrTimeout {
			c.send(s.from, wire.Message{Type: wire.Cancel, Segment: s.s.ID, Mask: ^uint64(0)})
			s.from = nil
			c.loads--
		}
		if s.whole || s.origin {
			continue
		}
		if s.s.Start <= pos+4*time.Second {
			if c.fetches < 2 {
				if s.from != nil {
					c.send(s.from, wire.Message{Type: wire.Cancel, Segment: s.s.ID, Mask: ^uint64(0)})
					s.from = nil
					c.loads--
				}
				c.fetch(s)
			}
			continue
		}
		if s.from != nil {
			continue
		}
		if len(s.owners) == 0 {
			unheard = append(unheard, s)
		} else if c.loads < 3 {
			s.from = s.owners[c.rng.IntN(len(s.owners))]
			s.heard = now
			c.loads++
			c.send(s.from, wire.Message{Type: wire.Request, Segment: s.s.ID, Mask: wire.All(s.chunks) &^ s.have})
		}
	}
	if now >= c.randomAt {
		p := 0
		for _, n := range c.neighbors {
			if n.up {
				p++
			}
		}
		c.randomAt = now + time.Second + time.Duration(c.rng.Float64()*float64(p)*float64(time.Second))
		unheard = unheard[:min(len(unheard), 2*(p+1))]
		if k := len(unheard); k > 0 && c.rng.Float64() < float64(k)/float64(p+1) {
			c.fetch(unheard[c.rng.IntN(k)])
		}
	}
}

func (c *windowRandom) fetch(s *wrSegment) {
	s.origin = true
	c.fetches++
	c.emit(peer.Effect{Kind: peer.FetchOrigin, Segment: s.s.ID})
}
