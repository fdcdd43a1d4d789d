package tracker

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// drawAll is the size up to which a pool is looked at whole; from a larger one
// as many members are drawn at random, or drawFar when those lie too close together.
const (
	drawAll = 96
	drawFar = 1024
)

// choice is what choosing needs besides the members, used again and again.
type choice struct {
	stamp      uint64     // who has it is out of the question or a candidate already
	seen       [16]uint64 // bits of the ids that it knows
	failed     []wire.PeerID
	drawn      []*member
	candidates []candidate
	familiar   []candidate // who is a candidate if there are not enough others
}

func (s *Swarm) announce(now time.Duration, m *member, ann *signal.Announcement) {
	s.regroup(now, m, ann)
	m.lines.settle(now)
	answer := s.peersMessage(m)
	want := min(ann.Want, int(m.maxTold-m.introduced.in(now).told), signal.MaxPeers)
	if m.alone || !s.meets() {
		want = 0
	}
	chosen := s.choose(now, m, want, ann.Failed)
	if len(chosen) > 0 {
		answer.Peers = make([]signal.PeerInfo, 0, len(chosen))
	}
	for _, c := range chosen {
		answer.Peers = append(answer.Peers, signal.PeerInfo{ID: c.m.id, Rendition: c.m.rendition.key.rendition, Upload: c.m.uploads(), Initiate: true})
		if m.known.note(&c.m.card) {
			// Only who is new can become one more neighbor.
			c.m.pending++
			m.introduced.told++
		}
		if c.m.known.note(&m.card) {
			c.m.introduced.in(now).shown++
		}
	}
	s.emit(Send, m.id, answer)
}

// choose returns up to want candidates for m, best first. The slice is valid until the next
// call.
func (s *Swarm) choose(now time.Duration, m *member, want int, failed []wire.PeerID) []candidate {
	if want <= 0 {
		return nil
	}
	l := &s.choice
	l.stamp++
	l.failed = failed
	m.stamp = l.stamp
	for _, id := range failed {
		if f := s.members[id]; f != nil {
			f.stamp = l.stamp
		}
	}
	l.seen = [len(l.seen)]uint64{}
	for _, id := range m.known.ids {
		l.seen[id>>6%wire.PeerID(len(l.seen))] |= 1 << (id & 63)
	}
	l.candidates, l.familiar = l.candidates[:0], l.familiar[:0]
	s.draw(now, m, m.group.all, max(2*want, 16))
	if m.uploads() {
		s.draw(now, m, m.rendition.all, drawAll)
	} else {
		s.draw(now, m, m.rendition.uploaders, drawAll)
	}
	if len(l.candidates) < want {
		s.draw(now, m, s.all, drawAll)
	}
	if len(s.all) > drawAll && spread(m, l.candidates, want, false) < want {
		s.draw(now, m, s.all, drawFar) // one prefix or network holds most of the swarm
	}
	c := l.candidates
	// A quarter of the answer is drawn from those that are not good enough; where
	// want is no multiple of four, one more of them is a matter of chance.
	quarter := want / 4
	if s.rng.IntN(4) < want%4 {
		quarter++
	}
	for i := range c {
		if i >= want-quarter { // the rest
			j := i + s.rng.IntN(len(c)-i)
			c[i], c[j] = c[j], c[i]
			continue
		}
		best := i
		for j := i + 1; j < len(c); j++ {
			if c[j].score > c[best].score {
				best = j
			}
		}
		c[i], c[best] = c[best], c[i]
	}
	// Those that lie too close together come after all others, in their order.
	n := spread(m, c, want, true)
	if n == want {
		return c[:want]
	}
	// Nobody else is there: m may have lost those of whom it was told lately,
	// longest ago first, or may not have reached them then.
	c = c[:n]
	for _, id := range m.known.ids {
		for i := range l.familiar {
			if f := &l.familiar[i]; f.m.id == id && len(c) < want && tooCloseFor(m, f, c, 4*len(c)+4) == apart {
				c = append(c, *f)
			}
		}
	}
	l.candidates = c
	return c
}

// draw adds candidates for m from a pool, at most n of them.
func (s *Swarm) draw(now time.Duration, m *member, pool []*member, n int) {
	l := &s.choice
	l.drawn = l.drawn[:0]
	if len(pool) <= n {
		l.drawn = append(l.drawn, pool...)
	} else {
		for range n {
			l.drawn = append(l.drawn, pool[s.rng.IntN(len(pool))])
		}
	}
	// This loop only waits for memory, for several members at once.
	for i, o := range l.drawn {
		if o.stamp == l.stamp {
			l.drawn[i] = nil
		}
	}
	for _, o := range l.drawn {
		if o == nil || o.stamp == l.stamp || !s.eligible(now, m, o) {
			continue
		}
		o.stamp = l.stamp
		if l.seen[o.id>>6%wire.PeerID(len(l.seen))]>>(o.id&63)&1 != 0 && m.known.has(o.id) {
			l.familiar = append(l.familiar, candidate{m: o})
			continue
		}
		l.candidates = append(l.candidates, candidate{o, s.score(m, o), s.met(m, o)})
	}
}

// met counts whom m knows of the prefix of o that are still there.
func (s *Swarm) met(m, o *member) (n int) {
	if o.place.prefix == 0 {
		return 0
	}
	for i, p := range m.known.prefixes {
		if p == uint16(o.place.prefix>>1) {
			if k := s.members[m.known.ids[i]]; k != nil && k.place.prefix == o.place.prefix && !slices.Contains(s.choice.failed, k.id) {
				n++
			}
		}
	}
	return n
}

// eligible reports whether o may be a neighbor of m, is there, and has room for one.
func (s *Swarm) eligible(now time.Duration, m, o *member) bool {
	return o.announced && !o.silent && !o.alone && o.scopeKey == m.scopeKey && (m.uploads() || o.uploads()) && !keptApart(m, o) &&
		int(o.neighbors+o.pending) < s.cfg.MaxNeighbors && o.introduced.in(now).shown < o.maxTold
}

// score is how good o is as a neighbor of m: the same rendition first, then for
// VOD a playhead ahead of m's, then locality, then a wide and little used
// uplink; a small random part breaks ties. One whose neighbors are reached over relays
// stands behind, because the next will be, too: what a relay carries saves the edge nothing.
func (s *Swarm) score(m, o *member) float64 {
	score := s.rng.Float64()
	if m.rendition == o.rendition {
		score += 8
	}
	if !m.live {
		switch ahead := o.positionMS - m.positionMS; {
		case ahead >= 0 && ahead < 10*60*1000:
			score += 4 - float64(ahead)/(10*60*1000)
		case ahead >= 0:
			score += 2
		case ahead > -60*1000:
			score++
		}
	}
	score += m.place.Locality(&o.place)
	if o.neighbors > 0 {
		score -= 3 * min(1, float64(o.relayed)/float64(o.neighbors))
	}
	if o.uploads() {
		score += 1 + min(float64(o.uplinkBPS), 20e6)/20e6
	}
	return score - 2*float64(o.neighbors+o.pending)/float64(s.cfg.MaxNeighbors)
}
