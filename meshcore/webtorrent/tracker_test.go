package webtorrent

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/tracker"
)

// ring is a tracker with connections that have names.
type ring struct {
	*Tracker
	t     *testing.T
	now   time.Duration
	conns map[string]*Conn
}

func newRing(t *testing.T, c Config) *ring {
	return &ring{Tracker: New(c), t: t, conns: map[string]*Conn{}}
}

// conn opens a connection of a network, unless it is open.
func (r *ring) conn(name, network string) *Conn {
	if r.conns[name] == nil {
		r.conns[name] = r.Open(r.now, &tracker.Facts{Prefix: network}, name)
	}
	return r.conns[name]
}

// announce returns what becomes of an announce of a peer with n offers: whom each goes to,
// and the counts of the reply or why it was refused.
func (r *ring) announce(conn *Conn, hash, peer byte, event string, n int) (to []string, said string) {
	m := &Message{Action: Announce, Hash: Named{ID: ID{hash}}, Peer: Named{ID: ID{peer}}, Event: event, Offers: make([]Offer, n), Want: n}
	for _, e := range r.Receive(r.now, conn, m, "", nil) {
		switch e.Kind {
		case Reply:
			said = fmt.Sprint(e.Complete, "+", e.Incomplete)
		case Offered:
			to = append(to, e.To.Owner.(string))
		default:
			said = e.Why
		}
		if e.Kind != Offered && e.To != conn {
			r.t.Errorf("the reply goes to %v", e.To.Owner)
		}
	}
	return to, said
}

// TestMeeting: who announces is offered to those who are there, each offer to another, and
// answers find their way back and nowhere else.
func TestMeeting(t *testing.T) {
	r := newRing(t, Config{})
	a, b, c := r.conn("a", "1"), r.conn("b", "2"), r.conn("c", "3")
	for i, conn := range []*Conn{a, b, c} {
		to, said := r.announce(conn, 1, byte(i+1), "started", 5)
		if len(to) != i || said != fmt.Sprint(0, "+", i+1) {
			t.Errorf("connection %d: offers to %v, the reply is %s", i, to, said)
		}
	}
	answer := func(from *Conn, peer, to byte) Effect {
		return r.Receive(0, from, &Message{Action: Announce, Hash: Named{ID: ID{1}}, Peer: Named{ID: ID{peer}}, To: Named{ID: ID{to}}, Answer: []byte("{}")}, "", nil)[0]
	}
	if e := answer(a, 1, 3); e.Kind != Answered || e.To != c {
		t.Errorf("the answer becomes %+v", e)
	}
	if e := answer(a, 1, 9); e.Kind != Failed || e.To != a {
		t.Errorf("an answer to nobody becomes %+v", e)
	}
	d := r.conn("d", "4")
	if e := answer(d, 4, 1); e.Kind != Failed {
		t.Errorf("an answer to whoever made no offer becomes %+v", e)
	}
	if to, said := r.announce(a, 1, 1, "completed", 0); len(to) != 0 || said != "1+3" {
		t.Errorf("completed: %v, %s", to, said)
	}
	if to, said := r.announce(b, 1, 2, "stopped", 5); len(to) != 0 || said != "1+2" {
		t.Errorf("stopped: %v, %s", to, said)
	}
	if to, _ := r.announce(c, 2, 3, "", 5); len(to) != 0 {
		t.Errorf("another info hash is offered to %v", to)
	}
}

// TestPeerIDOfAnother: a client that reconnects takes its place back; a stranger takes
// nobody's, and gets it once the other is gone.
func TestPeerIDOfAnother(t *testing.T) {
	r := newRing(t, Config{})
	old, again, thief := r.conn("old", "1"), r.conn("again", "1"), r.conn("thief", "2")
	r.announce(old, 1, 1, "", 0)
	if _, said := r.announce(thief, 1, 1, "", 0); said != whyTaken {
		t.Errorf("the thief is told %q", said)
	}
	if _, said := r.announce(again, 1, 1, "", 0); said != "0+1" {
		t.Errorf("who reconnects is told %q", said)
	}
	r.Close(old)
	if to, _ := r.announce(thief, 1, 2, "", 5); !reflect.DeepEqual(to, []string{"again"}) {
		t.Errorf("the offer goes to %v", to)
	}
	r.Close(again)
	if _, said := r.announce(thief, 1, 1, "", 0); said != "0+2" {
		t.Errorf("once it is free the id is refused: %q", said)
	}
	if to, _ := r.announce(thief, 1, 1, "", 5); len(to) != 0 {
		t.Errorf("a connection is offered to itself: %v", to)
	}
}

// TestRenditions: the info hash that a socket left without a word goes after two intervals,
// and comes last before.
func TestRenditions(t *testing.T) {
	r := newRing(t, Config{Interval: time.Minute})
	ghost, other := r.conn("ghost", "1"), r.conn("other", "2")
	r.announce(ghost, 1, 1, "", 0)
	r.announce(other, 1, 2, "", 0)
	r.now = 80 * time.Second
	r.announce(ghost, 2, 3, "", 0) // its new rendition
	r.announce(other, 1, 2, "", 0)
	if to, _ := r.announce(r.conn("new", "1"), 1, 4, "", 1); !reflect.DeepEqual(to, []string{"other"}) {
		t.Errorf("the offer goes to %v", to)
	}
	if at, ok := r.NextDeadline(); !ok || at != 2*time.Minute {
		t.Errorf("the next deadline is %v, %v", at, ok)
	}
	r.now = 2 * time.Minute
	r.Tick(r.now)
	if r.Peers() != 3 || r.Swarms() != 2 {
		t.Errorf("%d peers in %d swarms are left", r.Peers(), r.Swarms())
	}
	if m := len(ghost.members); m != 1 {
		t.Errorf("the socket has %d peers", m)
	}
}

// TestBounds: messages, peers of a connection, and introductions in an hour are bounded.
func TestBounds(t *testing.T) {
	r := newRing(t, Config{MaxTold: 3, MaxHashes: 2, Burst: 30, Rate: 1})
	c := r.conn("c", "0")
	r.announce(c, 1, 1, "", 0)
	r.announce(c, 2, 1, "", 0)
	if _, said := r.announce(c, 3, 1, "", 0); said != whyHashes {
		t.Errorf("a third info hash: %q", said)
	}
	for i := range 9 {
		r.announce(r.conn(fmt.Sprint(i), fmt.Sprint(i)), 1, byte(10+i), "", 0)
	}
	met := map[string]bool{}
	for range 5 {
		to, _ := r.announce(c, 1, 1, "", 5)
		for _, o := range to {
			met[o] = true
		}
	}
	if len(met) != 3 {
		t.Errorf("in an hour it is introduced to %d, want 3", len(met))
	}
	r.now += time.Hour
	if r.announce(c, 1, 1, "", 0); len(c.members) != 1 {
		t.Fatalf("%d peers after an hour", len(c.members))
	}
	for i := range 9 {
		r.announce(r.conn(fmt.Sprint(i), fmt.Sprint(i)), 1, byte(10+i), "", 0)
	}
	if to, _ := r.announce(c, 1, 1, "", 5); len(to) < 3 {
		t.Errorf("in the next hour it is introduced to %v", to)
	}
	for range 30 {
		r.announce(c, 1, 1, "", 0)
	}
	e := r.Receive(r.now, c, &Message{Action: Scrape}, "", nil)
	if len(e) != 1 || e[0].Kind != Cut {
		t.Errorf("a flood becomes %+v", e)
	}
}

// TestNear: most offers go to the own network, some to others, and no foreign network has
// more than two of them.
func TestNear(t *testing.T) {
	r := newRing(t, Config{MaxTold: 1e6})
	for i := range 200 {
		network := "far"
		if i%4 == 0 {
			network = "home"
		} else if i%4 == 1 {
			network = fmt.Sprint(i)
		}
		r.announce(r.conn(fmt.Sprint(i, network), network), 1, byte(i), "", 0)
	}
	near, far, all := 0, 0, 0
	for i := range 100 {
		c := r.conn(fmt.Sprint("new", i), "home")
		to, _ := r.announce(c, 1, 255, "", 5)
		foreign := 0
		for _, name := range to {
			all++
			switch network := r.conns[name].facts.Prefix; network {
			case "home":
				near++
			case "far":
				foreign++
				fallthrough
			default:
				far++
			}
		}
		if foreign > farAway {
			t.Fatalf("%d offers go to one foreign network", foreign)
		}
		r.announce(c, 1, 255, "stopped", 0)
		r.Close(c)
	}
	if all < 490 || near < all/2 || far < all/10 {
		t.Errorf("of %d offers %d go to the own network, %d to others", all, near, far)
	}
}

// TestNoGhosts: whatever connections do, in any order, swarms hold just the peers that have
// announced lately on a connection that is open, and offers go to other connections, each to
// another one. The same seed gives the same trace.
func TestNoGhosts(t *testing.T) {
	run := func(seed uint64) string {
		r := newRing(t, Config{Seed: seed, Interval: time.Minute, Rate: 1e6})
		rng := rand.New(rand.NewPCG(seed, 1))
		type key struct{ hash, peer byte }
		type place struct {
			conn  *Conn
			heard time.Duration
		}
		model := map[key]place{}
		open := []*Conn{}
		trace := ""
		for step := range 3000 {
			r.now += time.Duration(rng.IntN(4000)) * time.Millisecond
			for k, p := range model {
				if r.now-p.heard >= 2*time.Minute {
					delete(model, k)
				}
			}
			switch {
			case len(open) < 3 || rng.IntN(10) == 0 && len(open) < 40:
				open = append(open, r.conn(fmt.Sprint(step), fmt.Sprint(rng.IntN(4))))
			case rng.IntN(12) == 0:
				i := rng.IntN(len(open))
				c := open[i]
				open = append(open[:i:i], open[i+1:]...)
				r.Close(c)
				for k, p := range model {
					if p.conn == c {
						delete(model, k)
					}
				}
			default:
				c, k := open[rng.IntN(len(open))], key{byte(rng.IntN(5)), byte(rng.IntN(60))}
				event := []string{"", "started", "completed", "stopped"}[rng.IntN(4)]
				to, said := r.announce(c, k.hash, k.peer, event, rng.IntN(6))
				trace += fmt.Sprintln(r.now, to, said)
				seen := map[string]bool{c.Owner.(string): true}
				for _, o := range to {
					if seen[o] {
						t.Fatalf("step %d: offers go to %v", step, to)
					}
					seen[o] = true
					if r.conns[o].closed {
						t.Fatalf("step %d: an offer goes to a closed connection", step)
					}
				}
				switch {
				case said == whyTaken:
				case event == "stopped":
					if model[k].conn == c {
						delete(model, k)
					}
				default:
					model[k] = place{c, r.now}
				}
			}
			r.Tick(r.now)
			n := 0
			for hash, s := range r.swarms {
				for peer, p := range s.peers {
					n++
					if at := model[key{hash[0], peer[0]}]; at.conn != p.conn || p.conn.closed {
						t.Fatalf("step %d: a ghost of %v in %v", step, peer, hash)
					}
				}
			}
			if n != len(model) || n != r.Peers() {
				t.Fatalf("step %d: %d peers, %d of them counted, want %d", step, n, r.Peers(), len(model))
			}
		}
		for _, c := range open {
			r.Close(c)
		}
		if r.Peers() != 0 || r.Swarms() != 0 || r.heard.first != nil || r.heard.last != nil {
			t.Fatal("something is left")
		}
		return trace
	}
	for seed := range uint64(4) {
		if one, two := run(seed), run(seed); one != two {
			t.Errorf("two runs of seed %d differ", seed)
		}
	}
}

// BenchmarkAnnounce is an announce with five offers in swarms of several sizes.
func BenchmarkAnnounce(b *testing.B) {
	for _, n := range []int{10, 1000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			t := New(Config{Rate: 1e12, Burst: 1e12, MaxTold: 1e9})
			conns := make([]*Conn, n)
			announce := func(i int, offers int, out []Effect) []Effect {
				m := &Message{Action: Announce, Peer: Named{ID: ID{byte(i), byte(i >> 8), byte(i >> 16)}}, Offers: make([]Offer, offers), Want: offers}
				return t.Receive(0, conns[i], m, "", out)
			}
			for i := range conns {
				conns[i] = t.Open(0, &tracker.Facts{Prefix: fmt.Sprint(i % 50)}, nil)
				announce(i, 0, nil)
			}
			var out []Effect
			i := 0
			for b.Loop() {
				out = announce(i%n, 5, out[:0])
				i += 7919
			}
		})
	}
}
