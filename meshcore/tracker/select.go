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

// maxKnown bounds the memory of whom a member was introduced to, and lately is
// how many of them a member is not told of while there are others.
const (
	maxKnown = 256
	lately   = 64
)

func (s *Swarm) announce(now time.Duration, m *member, ann *signal.Announcement) {
	s.regroup(now, m, ann)
	m.pending = 0
	answer := &signal.Message{Type: signal.Peers, Duty: s.duty(m), SwarmSize: len(s.all)}
	want := min(ann.Want, s.maxTold(m)-m.introduced.in(now).told, signal.MaxPeers)
	for _, c := range s.choose(now, m, want) {
		answer.Peers = append(answer.Peers, signal.PeerInfo{ID: c.m.id, Rendition: c.m.ann.Rendition, Upload: c.m.uploads(), Initiate: true})
		if m.know(c.m.id) {
			// Only who is new can become one more neighbor.
			c.m.pending++
			m.introduced.told++
		}
		if c.m.know(m.id) {
			c.m.introduced.in(now).shown++
		}
	}
	m.ann.Failed = nil // answered; the next announce brings its own
	s.emit(Send, m.id, answer)
}

// know notes that m was introduced to a peer just now, and says whether that is
// new to it.
func (m *member) know(id wire.PeerID) bool {
	if i := slices.Index(m.known, id); i >= 0 {
		m.known = append(slices.Delete(m.known, i, i+1), id)
		return false
	}
	if len(m.known) == maxKnown {
		m.known = slices.Delete(m.known, 0, maxKnown/2)
	}
	m.known = append(m.known, id)
	return true
}

// choose gives up to want candidates for m, best first.
func (s *Swarm) choose(now time.Duration, m *member, want int) []candidate {
	if want <= 0 {
		return nil
	}
	// The stamp s.stamp is for who is out of the question or a candidate already,
	// the one before it for who comes only after all others.
	s.stamp += 2
	m.stamp = s.stamp
	for _, id := range m.ann.Failed {
		if f := s.members[id]; f != nil {
			f.stamp = s.stamp
		}
	}
	known := m.known[max(0, len(m.known)-lately):]
	for _, id := range known {
		if f := s.members[id]; f != nil && f.stamp != s.stamp {
			f.stamp = s.stamp - 1
		}
	}
	s.scratch = s.scratch[:0]
	s.draw(now, m, m.group.all, max(2*want, 16))
	if m.uploads() {
		s.draw(now, m, m.rendition.all, drawAll)
	} else {
		s.draw(now, m, m.rendition.uploaders, drawAll)
	}
	if len(s.scratch) < want {
		s.draw(now, m, s.all, drawAll)
	}
	if len(s.all) > drawAll && spread(m, s.scratch, want, false) < want {
		s.draw(now, m, s.all, drawFar) // one prefix or network holds most of the swarm
	}
	c := s.scratch
	slices.SortStableFunc(c, func(a, b candidate) int {
		switch {
		case a.score > b.score:
			return -1
		case a.score < b.score:
			return 1
		}
		return 0
	})
	// A quarter of the answer is drawn from those that are not good enough; where
	// want is no multiple of four, one more of them is a matter of chance.
	quarter := want / 4
	if s.rng.IntN(4) < want%4 {
		quarter++
	}
	for i := max(0, want-quarter); i < len(c); i++ {
		j := i + s.rng.IntN(len(c)-i)
		c[i], c[j] = c[j], c[i]
	}
	// Those that lie too close together come after all others, in their order.
	n := spread(m, c, want, true)
	if n < want {
		// Nobody else is there: m may have lost those of whom it was told lately,
		// longest ago first, or may not have reached them then.
		c = c[:n]
		for _, id := range known {
			if o := s.members[id]; len(c) < want && o != nil && o.stamp == s.stamp-1 && s.eligible(now, m, o) && tooClose(m, o, c) == apart {
				c = append(c, candidate{m: o})
			}
		}
		s.scratch = c
		return c
	}
	return c[:want]
}

// draw adds candidates for m from a list to the scratch, at most n of them.
func (s *Swarm) draw(now time.Duration, m *member, list []*member, n int) {
	consider := func(o *member) {
		if o.stamp >= s.stamp-1 || !s.eligible(now, m, o) {
			return
		}
		o.stamp = s.stamp
		s.scratch = append(s.scratch, candidate{o, s.score(m, o)})
	}
	if len(list) <= n {
		for _, o := range list {
			consider(o)
		}
		return
	}
	for range n {
		consider(list[s.rng.IntN(len(list))])
	}
}

// eligible reports whether o may be a neighbor of m, is there, and has room for one.
func (s *Swarm) eligible(now time.Duration, m, o *member) bool {
	return o.announced && !o.silent && o.facts.Scope == m.facts.Scope && (m.uploads() || o.uploads()) && !keptApart(m, o) &&
		o.ann.Neighbors+o.pending < s.cfg.MaxNeighbors && o.introduced.in(now).shown < s.maxTold(o)
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
	if !m.ann.Live {
		switch ahead := o.ann.PositionMS - m.ann.PositionMS; {
		case ahead >= 0 && ahead < 10*60*1000:
			score += 4 - float64(ahead)/(10*60*1000)
		case ahead >= 0:
			score += 2
		case ahead > -60*1000:
			score++
		}
	}
	score += Locality(&m.facts, &o.facts)
	if o.ann.Neighbors > 0 {
		score -= 3 * min(1, float64(o.ann.Relayed)/float64(o.ann.Neighbors))
	}
	if o.uploads() {
		score += 1 + min(float64(o.ann.UplinkBPS), 20e6)/20e6
	}
	return score - 2*float64(o.ann.Neighbors+o.pending)/float64(s.cfg.MaxNeighbors)
}

// Locality is how near two peers are, as part of a score: 2 in one prefix, less in one
// network (ASN) or region, 0 for far away or unknown.
func Locality(a, b *Facts) float64 {
	switch {
	case a.Prefix != "" && a.Prefix == b.Prefix:
		return 2
	case a.ASN != 0 && a.ASN == b.ASN:
		return 1.5
	case a.Region != "" && a.Region == b.Region:
		return 1
	}
	return 0
}
