package attacks

import (
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// ttl is how long a pass is good here: the shortest that a site can set.
const ttl = 30 * time.Second

// passRunsOut: of two peers that ask real viewers for chunks without end, the
// one whose viewer token dies is put off by the viewers and by the edge when it
// does; the other one has its pass renewed, shows it, and is given chunks beyond
// the end of its first one, on the connections that it had. The same holds for the
// viewers themselves, whose passes are as short.
func passRunsOut(t *testing.T, s *site) {
	a := s.audience()
	for range 2 {
		a.join(s.tokenOf("viewer", "/film/", time.Hour), nil)
	}
	a.until("two viewers", 20*time.Second, a.all(func(v viewer.Stats) bool { return v.Joined && v.PlayedMS > 1000 && v.Neighbors == 1 }))
	b := s.bootstrap(s.client(s.token("/film/", time.Hour)), "film")
	intruder := func(life time.Duration) *intruder {
		client := s.client(s.token("/film/", life))
		session := s.open(client, b)
		if left := time.Until(session.Expires); left > min(life, ttl) {
			t.Fatalf("a token of %v opened a session of %v", life, left)
		}
		return intrude(t, client, session, session.Pass)
	}
	renewed := intruder(time.Hour)
	first := time.Now().Add(ttl) // when its first pass has run out, if not before
	lapsed := intruder(18 * time.Second)
	given := func() bool {
		renewed.askAgain()
		lapsed.askAgain()
		return renewed.count(wire.Chunk) > 0 && lapsed.count(wire.Chunk) > 0
	}
	a.until("chunks for both", 15*time.Second, given)
	a.until("the end of the one", 40*time.Second, func() bool {
		given()
		return lapsed.count(wire.Bye) == 2
	})
	had := lapsed.count(wire.Chunk)
	renewed.renew()
	a.until("another pass", 10*time.Second, func() bool { return renewed.passCount() == 1 })
	a.until("the end of the first pass of the other", ttl, func() bool {
		given()
		return time.Now().After(first)
	})
	goesOn := renewed.count(wire.Chunk)
	a.until("chunks for it after that", 5*time.Second, func() bool {
		given()
		return renewed.count(wire.Chunk) > goesOn+4
	})
	if n := lapsed.count(wire.Chunk); n != had {
		t.Errorf("%d chunks were given to a peer whose pass had run out", n-had)
	}
	// Whatever it still says ends its session.
	lapsed.renew()
	a.until("the edge to close the session", 10*time.Second, lapsed.isGone)
	if n := renewed.count(wire.Bye); n != 0 || renewed.isGone() {
		t.Errorf("%d viewers put the renewed peer off, the edge: %v", n, renewed.isGone())
	}
	for n, p := range a.players {
		if v := p.Stats(); v.Neighbors != 2 {
			t.Errorf("viewer %d has %d neighbors, want the other viewer and the renewed peer", n, v.Neighbors)
		}
	}
}
