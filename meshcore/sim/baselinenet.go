package sim

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

func (c *windowRandom) neighbor(id wire.PeerID) *wrNeighbor {
	for _, n := range c.neighbors {
		if n.id == id {
			return n
		}
	}
	return nil
}

func (c *windowRandom) send(n *wrNeighbor, m wire.Message) {
	c.emit(peer.Effect{Kind: peer.Send, Peer: n.id, Message: m})
}

// sayAnnounce asks the tracker for the neighbors that are lacking.
func (c *windowRandom) sayAnnounce(now time.Duration) {
	c.announce = now + 60*time.Second
	want := max(0, wrNeighbors-len(c.neighbors))
	if want > 0 && (c.swarm < 0 || len(c.neighbors) < c.swarm-1) {
		c.announce = now + 6*time.Second + time.Duration(c.rng.Int64N(int64(4*time.Second)))
	}
	rendition := c.rendition
	if rendition == "" {
		rendition = "r0"
		c.announce = min(c.announce, now+time.Second) // the playlist comes at any moment
	}
	c.emit(peer.Effect{Kind: peer.Signal, Signal: &signal.Message{Type: signal.Announce, Announcement: &signal.Announcement{
		Rendition: rendition, Live: c.live, PositionMS: c.playhead(now).Milliseconds(), Neighbors: len(c.neighbors), Want: want, Upload: c.upload}}})
}

func (c *windowRandom) onPeers(m *signal.Message) {
	if m.Type != signal.Peers {
		return
	}
	c.swarm = m.SwarmSize
	for _, p := range m.Peers {
		if p.Initiate && p.ID != c.id && c.neighbor(p.ID) == nil && len(c.neighbors) < wrNeighbors {
			c.neighbors = append(c.neighbors, &wrNeighbor{id: p.ID})
			c.emit(peer.Effect{Kind: peer.Connect, Peer: p.ID})
		}
	}
}

// onOffered accepts who offers a connection, if there is room. Of two offers that
// cross, that of the smaller id stands.
func (c *windowRandom) onOffered(id wire.PeerID) {
	n := c.neighbor(id)
	if n != nil && !n.open && c.id < id {
		return
	}
	c.lose(id)
	if len(c.neighbors) >= wrNeighbors*4/3 {
		c.emit(peer.Effect{Kind: peer.Disconnect, Peer: id})
		return
	}
	c.neighbors = append(c.neighbors, &wrNeighbor{id: id})
	c.emit(peer.Effect{Kind: peer.Accept, Peer: id})
}

func (c *windowRandom) onUp(id wire.PeerID) {
	n := c.neighbor(id)
	if n == nil {
		c.emit(peer.Effect{Kind: peer.Disconnect, Peer: id})
		return
	}
	n.open = true
	var flags uint8
	if !c.upload {
		flags = wire.FlagNoUpload
	}
	c.send(n, wire.Message{Type: wire.Hello, Version: wire.Version, Peer: c.id, Flags: flags})
}

// lose forgets a neighbor.
func (c *windowRandom) lose(id wire.PeerID) {
	i := slices.IndexFunc(c.neighbors, func(n *wrNeighbor) bool { return n.id == id })
	if i < 0 {
		return
	}
	n := c.neighbors[i]
	c.neighbors = slices.Delete(c.neighbors, i, i+1)
	for _, s := range c.known {
		if j := slices.Index(s.owners, n); j >= 0 {
			s.owners = slices.Delete(s.owners, j, j+1)
		}
		if s.from == n {
			s.from = nil
			c.loads--
		}
	}
	c.queue = slices.DeleteFunc(c.queue, func(it wrItem) bool { return it.n == n })
}

func (c *windowRandom) onMessage(now time.Duration, n *wrNeighbor, m *wire.Message) {
	switch m.Type {
	case wire.Hello:
		n.up = true
		c.sendAllHaves(n)
	case wire.Have:
		for _, h := range m.Haves {
			if s := c.seg(h.Segment); !slices.Contains(s.owners, n) {
				s.owners = append(s.owners, n)
			}
		}
	case wire.Request:
		c.request(n, m)
	case wire.Cancel:
		c.queue = slices.DeleteFunc(c.queue, func(it wrItem) bool { return it.n == n && it.seg.s.ID == m.Segment })
	case wire.Chunk:
		s := c.seg(m.Segment)
		if s.from == n {
			s.heard = now
		}
		if s.layout.Size == 0 || s.have>>m.Index&1 == 1 {
			c.report.DuplicateBytes += int64(m.Total)
			return
		}
		c.emit(peer.Effect{Kind: peer.CheckChunk, Peer: n.id, Segment: m.Segment, Chunk: m.Index})
	}
}

// sendAllHaves tells a new neighbor of all segments that are whole.
func (c *windowRandom) sendAllHaves(n *wrNeighbor) {
	if !c.upload {
		return
	}
	var haves []wire.SegmentHave
	for _, s := range c.known {
		if s.whole && len(haves) < wire.MaxHaves {
			haves = append(haves, wire.SegmentHave{Segment: s.s.ID, Chunks: uint8(s.layout.Chunks()), Mask: s.have})
		}
	}
	if len(haves) > 0 {
		c.send(n, wire.Message{Type: wire.Have, Haves: haves})
	}
}
