package tracker

import (
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestPastKeepsTheLatest: a session that leaves, comes back and leaves again is
// remembered for as long as its last leave deserves, not its first.
func TestPastKeepsTheLatest(t *testing.T) {
	s := New(Config{})
	leave := func(id wire.PeerID) {
		s.past.remember(&member{card: card{id: id, introduced: introductions{told: 1}}})
	}
	leave(1)
	s.past.recall(0, 1)
	for id := wire.PeerID(2); id < 10; id++ {
		leave(id)
	}
	leave(1)
	for id := wire.PeerID(10); id <= maxPast; id++ {
		leave(id)
	}
	leave(maxPast + 1)
	if got, _ := s.past.recall(0, 1); got.told != 1 {
		t.Errorf("the session that left last but a few was told of %d peers, want 1", got.told)
	}
	if got, _ := s.past.recall(0, 2); got.told != 0 {
		t.Errorf("the session that left first was told of %d peers, want to have forgotten it", got.told)
	}
	if n, m := len(s.past.byID), s.past.order.Len(); n != m || n != maxPast-1 {
		t.Errorf("%d sessions are remembered in an order of %d, want %d in both", n, m, maxPast-1)
	}
}
