package webtorrent

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/tracker"
)

// maxKnown is how many introductions of a connection are remembered.
const maxKnown = 64

// Conn is a connection of a client.
type Conn struct {
	// Owner is what the driver has given to Open.
	Owner any

	facts     *tracker.Facts
	place     tracker.Place
	serial    uint32
	closed    bool
	members   []*member
	allowance float64 // messages it may send
	allowedAt time.Duration

	// Whom it was introduced to: connections by their serials, the latest last; and how many
	// new ones in this hour, by its own offers and by those of others.
	known       []uint32
	told, shown int32
	from        time.Duration
}

// allow counts a message against the rate of the connection.
func (c *Conn) allow(now time.Duration, cfg Config) (ok bool) {
	c.allowance = min(cfg.Burst, c.allowance+cfg.Rate*(now-c.allowedAt).Seconds())
	c.allowedAt = now
	if c.allowance < 1 {
		return false
	}
	c.allowance--
	return true
}

// Announces reports whether a peer of the connection is in a swarm.
func (c *Conn) Announces() bool { return len(c.members) > 0 }

// knows reports whether c was introduced to o lately.
func (c *Conn) knows(o *Conn) bool { return slices.Contains(c.known, o.serial) }

// meet notes that c was introduced to o, and reports whether that is new.
func (c *Conn) meet(now time.Duration, o *Conn) bool {
	if i := slices.Index(c.known, o.serial); i >= 0 {
		c.known = append(slices.Delete(c.known, i, i+1), o.serial)
		return false
	}
	if len(c.known) == maxKnown {
		c.known = slices.Delete(c.known, 0, maxKnown/4)
	}
	c.known = append(c.known, o.serial)
	c.hour(now)
	return true
}

// hour begins to count anew when the hour is over.
func (c *Conn) hour(now time.Duration) {
	if now-c.from >= time.Hour {
		c.told, c.shown, c.from = 0, 0, now
	}
}

// member is a peer in the swarm of an info hash.
type member struct {
	peer    ID
	swarm   *swarm
	conn    *Conn
	at      int // place in swarm.all
	seeds   bool
	stamp   uint32
	heardAt time.Duration
	before  *member // in registry.heard
	after   *member
}

// swarm is the peers of an info hash.
type swarm struct {
	hash     ID
	peers    map[ID]*member
	all      []*member // for random draws; order by joining and swap-removal
	complete int
}

func (s *swarm) counts() (complete, incomplete int) { return s.complete, len(s.all) - s.complete }

func (s *swarm) seed(p *member, seeds bool) {
	if seeds == p.seeds {
		return
	}
	if p.seeds = seeds; seeds {
		s.complete++
	} else {
		s.complete--
	}
}

// Why a peer may not be in a swarm.
const (
	whyHashes = "too many info hashes on one connection: say stopped for those that are over"
	whyTaken  = "this peer_id is another connection's: draw one at random"
)

// registry is who is in which swarm.
type registry struct {
	maxHashes int
	patience  time.Duration // without an announce
	swarms    map[ID]*swarm
	heard     line // all members, who announced longest ago first
	peers     int
}

func newRegistry(cfg Config) registry {
	return registry{maxHashes: cfg.MaxHashes, patience: 2 * cfg.Interval, swarms: map[ID]*swarm{}}
}

// due is when the next peer expires, ok is false if there is none.
func (r *registry) due() (at time.Duration, ok bool) {
	if p := r.heard.first; p != nil {
		return p.heardAt + r.patience, true
	}
	return 0, false
}

// expire removes who has announced nothing for too long.
func (r *registry) expire(now time.Duration) {
	for p := r.heard.first; p != nil && now-p.heardAt >= r.patience; p = r.heard.first {
		r.remove(p)
	}
}

// enter puts the sender of an announce into its swarm, or notes that it is still there. The
// member is nil if it may not be in it, for why.
func (r *registry) enter(now time.Duration, c *Conn, m *Message) (p *member, why string) {
	s := r.swarms[m.Hash.ID]
	if s != nil {
		p = s.peers[m.Peer.ID]
	}
	switch {
	case p != nil && p.conn != c && c.facts.Prefix != p.conn.facts.Prefix:
		return nil, whyTaken
	case (p == nil || p.conn != c) && len(c.members) >= r.maxHashes:
		return nil, whyHashes
	case p != nil && p.conn != c: // the client has another socket by now
		p.conn.drop(p)
		p.conn = c
		c.members = append(c.members, p)
	case p == nil:
		if s == nil {
			s = &swarm{hash: m.Hash.ID, peers: map[ID]*member{}}
			r.swarms[s.hash] = s
		}
		p = &member{peer: m.Peer.ID, swarm: s, conn: c, at: len(s.all)}
		s.peers[p.peer] = p
		s.all = append(s.all, p)
		c.members = append(c.members, p)
		r.peers++
	}
	p.swarm.seed(p, m.Seeds || m.Event == "completed" || p.seeds && m.Answer != nil)
	p.heardAt = now
	r.heard.remove(p)
	r.heard.add(p)
	return p, ""
}

// remove takes a peer out of its swarm.
func (r *registry) remove(p *member) {
	s := p.swarm
	s.seed(p, false)
	last := s.all[len(s.all)-1]
	s.all[p.at] = last
	last.at = p.at
	s.all[len(s.all)-1] = nil
	s.all = s.all[:len(s.all)-1]
	delete(s.peers, p.peer)
	if len(s.all) == 0 {
		delete(r.swarms, s.hash)
	}
	p.conn.drop(p)
	r.heard.remove(p)
	r.peers--
}

// drop takes a peer from the list of its connection.
func (c *Conn) drop(p *member) {
	if i := slices.Index(c.members, p); i >= 0 {
		c.members = slices.Delete(c.members, i, i+1)
	}
	if len(c.members) == 0 {
		c.members = nil
	}
}

// line is a list of members.
type line struct{ first, last *member }

func (l *line) add(p *member) {
	p.before, p.after = l.last, nil
	if l.last != nil {
		l.last.after = p
	} else {
		l.first = p
	}
	l.last = p
}

// remove takes a member out, if it is in the line.
func (l *line) remove(p *member) {
	if p.before == nil && l.first != p {
		return
	}
	if p.before != nil {
		p.before.after = p.after
	} else {
		l.first = p.after
	}
	if p.after != nil {
		p.after.before = p.before
	} else {
		l.last = p.before
	}
	p.before, p.after = nil, nil
}
