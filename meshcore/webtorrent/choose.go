package webtorrent

import (
	"math/rand/v2"
	"slices"
	"time"
)

const (
	// drawAll is the size up to which a swarm is looked at whole; from a larger one as many
	// members are drawn as three times those that are wanted, at least leastDrawn.
	drawAll    = 24
	leastDrawn = 16
	// farAway is how many candidates of an announce may be from one network.
	farAway = 2
)

// candidate is a member with its score.
type candidate struct {
	*member
	score float64
}

// chooser chooses whom offers go to.
type chooser struct {
	rng      *rand.Rand
	interval time.Duration
	maxTold  int
	stamp    uint32
	drawn    []candidate
	chosen   []*member
}

func newChooser(cfg Config) chooser {
	return chooser{rng: rand.New(rand.NewPCG(cfg.Seed, 0x746f7272)), interval: cfg.Interval, maxTold: cfg.MaxTold}
}

// choose returns whom the offers of p go to, at most want, and notes that they are
// introduced. The slice is valid until the next call.
func (s *chooser) choose(now time.Duration, p *member, want int) []*member {
	s.chosen = s.chosen[:0]
	if want <= 0 || len(p.swarm.all) < 2 {
		return nil
	}
	p.conn.hour(now)
	s.draw(now, p, max(3*want, leastDrawn))
	// A quarter is drawn from those that are not good enough, so that a swarm never splits.
	best := want - want/4
	if s.rng.IntN(4) < want%4 {
		best--
	}
	for left := s.drawn; len(left) > 0 && len(s.chosen) < want; {
		i := 0
		if len(s.chosen) < best {
			for j := range left {
				if left[j].score > left[i].score {
					i = j
				}
			}
		} else {
			i = s.rng.IntN(len(left))
		}
		o := left[i].member
		left[i] = left[len(left)-1]
		left = left[:len(left)-1]
		twice := func(c *member) bool { return c.conn == o.conn }
		if !s.mayMeet(now, p.conn, o.conn) || crowded(p.conn, o.conn, s.chosen) || slices.ContainsFunc(s.chosen, twice) {
			continue
		}
		if p.conn.meet(now, o.conn) {
			p.conn.told++
		}
		if o.conn.meet(now, p.conn) {
			o.conn.shown++
		}
		s.chosen = append(s.chosen, o)
	}
	return s.chosen
}

// draw draws candidates for p, of as many draws as n.
func (s *chooser) draw(now time.Duration, p *member, n int) {
	s.stamp++
	s.drawn = s.drawn[:0]
	consider := func(o *member) {
		if o.stamp == s.stamp || o.conn == p.conn {
			return
		}
		o.stamp = s.stamp
		s.drawn = append(s.drawn, candidate{o, s.score(now, p, o)})
	}
	all := p.swarm.all
	if len(all) <= max(n, drawAll) {
		for _, o := range all {
			consider(o)
		}
		return
	}
	for range n {
		consider(all[s.rng.IntN(len(all))])
	}
}

// score is how good o is as a peer for p.
func (s *chooser) score(now time.Duration, p, o *member) float64 {
	score := s.rng.Float64() + p.conn.place.Locality(&o.conn.place)
	if now-o.heardAt > s.interval+s.interval/4 {
		score -= 8 // it may play another rendition by now
	}
	if p.conn.knows(o.conn) {
		score -= 4 // it is connected already, or could not be
	}
	return score
}

// mayMeet reports whether two connections may be introduced: who has met as many as one
// learns of in an hour meets those that it knows.
func (s *chooser) mayMeet(now time.Duration, c, o *Conn) bool {
	o.hour(now)
	most := func(c *Conn) int32 {
		if c.facts.MaxTold > 0 {
			return int32(c.facts.MaxTold)
		}
		return int32(s.maxTold)
	}
	return (c.told < most(c) || c.knows(o)) && (o.shown < most(o) || o.knows(c))
}

// crowded reports whether o lies in a network of which enough are chosen.
func crowded(c, o *Conn, chosen []*member) bool {
	if o.facts.Prefix == "" || c.place.SamePrefix(&o.place) {
		return false
	}
	n := 0
	for i := range chosen {
		if chosen[i].conn.place.SamePrefix(&o.place) {
			n++
		}
	}
	return n >= farAway
}
