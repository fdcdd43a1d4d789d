package sim

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// The figures of the policy.
const (
	wrWindow    = 4 * time.Second // before the playhead: always from the origin
	wrLoads     = 3               // from peers at once
	wrFetches   = 2               // from the origin at once
	wrTimeout   = 2 * time.Second // without a chunk
	wrNeighbors = 24              // it looks for; it accepts a third more
	wrUplink    = 128 << 10       // bytes handed to the driver and not sent
)

// missing is the mask of the chunks that are not here, 0 if that is not known.
func (s *wrSegment) missing() uint64 {
	if s.layout.Size == 0 {
		return 0
	}
	return wire.All(s.layout.Chunks()) &^ s.have
}

func (s *wrSegment) bytes(chunk uint8) int64 {
	from, to := s.layout.Range(int(chunk))
	return to - from
}

func newWindowRandom(id int32, seed uint64, noUpload, live bool, goal time.Duration) *windowRandom {
	return &windowRandom{id: peerID(id), rng: rand.New(rand.NewPCG(seed, uint64(id)+7)), upload: !noUpload, live: live, goal: goal,
		segs: map[wire.SegmentID]*wrSegment{}, randomAt: never, swarm: -1}
}

func (c *windowRandom) Report() *signal.Report { return &c.report }

// NextDeadline is when the next segment comes within the window or the goal, a
// transfer times out, or a draw or an announce is due.
func (c *windowRandom) NextDeadline() time.Duration {
	return min(c.randomAt, c.announce, max(c.nextAt, c.planned+20*time.Millisecond))
}

func (c *windowRandom) Step(now time.Duration, in *peer.Input) []peer.Effect {
	c.out = c.out[:0]
	if c.randomAt == never {
		c.randomAt = now + time.Second
	}
	switch in.Kind {
	case peer.ManifestIn:
		c.onManifest(now, in.Manifest)
	case peer.Play:
		c.pos, c.at, c.playing = in.Position, now, in.Playing
	case peer.NeighborUp:
		c.onUp(in.Peer)
	case peer.NeighborDown:
		c.lose(in.Peer)
	case peer.Offered:
		c.onOffered(in.Peer)
	case peer.Receive:
		if n := c.neighbor(in.Peer); n != nil {
			c.onMessage(now, n, in.Message)
		}
	case peer.ChunkChecked:
		c.onChecked(in)
	case peer.Sent:
		c.inFlight -= in.Bytes
	case peer.OriginProof:
		c.seg(in.Segment).layout = in.Layout
	case peer.OriginChunk:
		s := c.seg(in.Segment)
		c.report.OriginBytes += in.Bytes
		if s.have>>in.Chunk&1 == 1 {
			c.report.DuplicateBytes += in.Bytes
		}
		c.gain(s, in.Chunk)
	case peer.OriginDone:
		c.fetches--
		c.seg(in.Segment).origin = false
	case peer.SignalIn:
		c.onPeers(in.Signal)
	}
	if now >= c.announce {
		c.sayAnnounce(now)
	}
	c.plan(now)
	c.serve()
	return c.out
}

func (c *windowRandom) emit(f peer.Effect) { c.out = append(c.out, f) }

func (c *windowRandom) seg(id wire.SegmentID) *wrSegment {
	s := c.segs[id]
	if s == nil {
		s = &wrSegment{s: peer.Segment{ID: id}}
		c.segs[id] = s
		c.known = append(c.known, s)
	}
	return s
}

func (c *windowRandom) onManifest(now time.Duration, m *peer.Manifest) {
	if c.manifest != nil && m.Rendition != c.rendition {
		for len(c.neighbors) > 0 {
			id := c.neighbors[0].id
			c.lose(id)
			c.emit(peer.Effect{Kind: peer.Disconnect, Peer: id})
		}
		c.announce, c.swarm = now, -1
	}
	c.manifest, c.rendition = m, m.Rendition
	for _, s := range c.order {
		s.listed = false
	}
	c.order = c.order[:0]
	for i := range m.Segments {
		s := c.seg(m.Segments[i].ID)
		s.s, s.listed = m.Segments[i], true
		s.layout = integrity.Layout{Size: s.s.Size, ChunkSize: integrity.ChunkSize(s.s.Size)}
		c.order = append(c.order, s)
	}
	if c.live {
		c.known = slices.DeleteFunc(c.known, func(s *wrSegment) bool {
			old := !s.listed && !s.origin && s.from == nil && s.s.Duration > 0 && s.s.Start < c.playhead(now)
			if old {
				delete(c.segs, s.s.ID)
				c.queue = slices.DeleteFunc(c.queue, func(it wrItem) bool { return it.seg == s })
				c.emit(peer.Effect{Kind: peer.Evict, Segment: s.s.ID})
			}
			return old
		})
	}
}

func (c *windowRandom) playhead(now time.Duration) time.Duration {
	if c.playing {
		return c.pos + now - c.at
	}
	return c.pos
}

// onChecked takes a chunk of a peer.
func (c *windowRandom) onChecked(in *peer.Input) {
	s := c.seg(in.Segment)
	if !in.OK {
		c.report.BadChunks++
		c.lose(in.Peer)
		c.emit(peer.Effect{Kind: peer.Disconnect, Peer: in.Peer})
		return
	}
	c.report.PeerBytes += s.bytes(in.Chunk)
	c.gain(s, in.Chunk)
}

// gain notes a chunk, and tells the neighbors of a segment that is whole.
func (c *windowRandom) gain(s *wrSegment, chunk uint8) {
	s.have |= 1 << chunk
	if s.whole || s.missing() != 0 {
		return
	}
	s.whole = true
	c.stop(s)
	c.emit(peer.Effect{Kind: peer.Complete, Segment: s.s.ID})
	if !c.upload {
		return
	}
	have := []wire.SegmentHave{{Segment: s.s.ID, Chunks: uint8(s.layout.Chunks()), Mask: s.have}}
	for _, n := range c.neighbors {
		if n.up {
			c.send(n, wire.Message{Type: wire.Have, Haves: have})
		}
	}
}

// stop ends the transfer of a segment from a peer, if there is one.
func (c *windowRandom) stop(s *wrSegment) {
	if s.from != nil {
		c.send(s.from, wire.Message{Type: wire.Cancel, Segment: s.s.ID, Mask: ^uint64(0)})
		s.from.busy = false
		s.from = nil
		c.loads--
	}
}

// plan is the policy.
func (c *windowRandom) plan(now time.Duration) {
	c.planned, c.nextAt = now, never
	if c.manifest == nil {
		return
	}
	pos := c.playhead(now)
	var unheard []*wrSegment
	within := func(at, ahead time.Duration) { // s comes to lie within ahead of the playhead
		if c.playing {
			c.nextAt = min(c.nextAt, now+at-pos-ahead)
		}
	}
	for _, s := range c.order {
		if s.from != nil && now-s.heard >= wrTimeout {
			c.stop(s)
		}
		if s.whole || s.origin || s.s.Start+s.s.Duration <= pos || s.s.Start < c.manifest.From {
			continue
		}
		if c.goal > 0 && s.s.Start > pos+c.goal {
			within(s.s.Start, c.goal)
			break
		}
		switch {
		case s.s.Start <= pos+wrWindow:
			// The first segment of all comes alone, so that the player starts soon.
			if c.fetches < wrFetches && (c.playing || c.fetches == 0) {
				c.stop(s)
				c.fetch(s)
			}
		case s.from != nil:
		case len(s.owners) == 0:
			unheard = append(unheard, s)
		case c.loads < wrLoads:
			c.load(now, s)
		}
		if s.from != nil {
			c.nextAt = min(c.nextAt, s.heard+wrTimeout)
		}
		if !s.origin && s.s.Start > pos+wrWindow {
			within(s.s.Start, wrWindow)
		}
	}
	if now >= c.randomAt {
		c.draw(now, unheard)
	}
}

// load asks an owner of a segment, drawn among those that are not asked for
// another, for all that is missing.
func (c *windowRandom) load(now time.Duration, s *wrSegment) {
	k, from := 0, (*wrNeighbor)(nil)
	for _, n := range s.owners {
		if !n.busy {
			k++
			if c.rng.IntN(k) == 0 {
				from = n
			}
		}
	}
	if from == nil {
		return
	}
	from.busy = true
	s.from, s.heard = from, now
	c.loads++
	c.send(from, wire.Message{Type: wire.Request, Segment: s.s.ID, Mask: s.missing()})
}

// draw takes, by chance, one of the segments that nobody has announced.
func (c *windowRandom) draw(now time.Duration, unheard []*wrSegment) {
	p := 0
	for _, n := range c.neighbors {
		if n.up {
			p++
		}
	}
	c.randomAt = now + time.Second + time.Duration(c.rng.Float64()*float64(p)*float64(time.Second))
	if p == 0 || c.fetches >= wrFetches {
		return
	}
	unheard = unheard[:min(len(unheard), 2*(p+1))]
	if k := len(unheard); k > 0 && c.rng.Float64() < float64(k)/float64(p+1) {
		c.fetch(unheard[c.rng.IntN(k)])
	}
}

func (c *windowRandom) fetch(s *wrSegment) {
	s.origin = true
	c.fetches++
	c.emit(peer.Effect{Kind: peer.FetchOrigin, Segment: s.s.ID, Chunks: s.missing()})
}

// serve hands the next chunks to the driver, in the order they were asked for.
func (c *windowRandom) serve() {
	for len(c.queue) > 0 && c.inFlight < wrUplink {
		it := c.queue[0]
		c.queue = c.queue[1:]
		bytes := it.seg.bytes(it.index)
		c.inFlight += bytes
		c.report.UploadedBytes += bytes
		c.emit(peer.Effect{Kind: peer.SendChunk, Peer: it.n.id, Segment: it.seg.s.ID, Chunk: it.index})
	}
}

// request queues what a neighbor asks for.
func (c *windowRandom) request(n *wrNeighbor, m *wire.Message) {
	s := c.segs[m.Segment]
	if s == nil || !s.whole || !c.upload {
		return
	}
	for mask := m.Mask & s.have; mask != 0; mask &= mask - 1 {
		c.queue = append(c.queue, wrItem{n, s, uint8(bits.TrailingZeros64(mask))})
	}
}
