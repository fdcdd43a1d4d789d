package attacks

import (
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestChangedFile: a file changes at the origin while a viewer holds the old bytes, whose
// statement stays valid for hours. A viewer that joins later plays the new bytes and takes
// the other segments from the first, which nobody accuses and which stops giving old bytes.
func TestChangedFile(t *testing.T) {
	s := newSite(t, "")
	a := s.audience()
	holder := a.join(s.tokenOf("holder", "/film/", time.Hour), nil)
	a.until("a viewer who has played the file", 30*time.Second, func() bool {
		v := holder.Stats()
		return v.PlayedMS > 3000 && v.BufferMS > 10_000
	})
	old := a.played
	s.write("film/0.ts", random(t, segmentSize))
	guest := a.join(s.tokenOf("guest", "/film/", time.Hour), nil)
	a.until("the guest to play the new file, and more from its neighbor", 40*time.Second, func() bool {
		v := guest.Stats()
		return v.PlayedMS > 6000 && v.PeerBytes > 4*segmentSize
	})
	// A third one sees what the two have of the file by now.
	session := s.open(s.client(s.token("/film/", time.Hour)), s.bootstrap(s.client(s.token("/film/", time.Hour)), "film"))
	i := intrude(t, s.client(s.token("/film/", time.Hour)), session, session.Pass)
	file := integrity.ID("/film/0.ts", 0, 0)
	roots := func() map[uint32]bool {
		i.mu.Lock()
		defer i.mu.Unlock()
		found := map[uint32]bool{}
		for _, m := range i.got {
			for _, h := range m.Haves {
				if h.Segment == file && h.Mask != 0 {
					found[h.Root] = true
				}
			}
		}
		return found
	}
	a.until("the third to hear what there is of the file", 20*time.Second, func() bool {
		return i.count(wire.Have) >= 2 && len(roots()) > 0
	})
	a.until("4 s more", 20*time.Second, a.all(func(v viewer.Stats) bool { return v.PlayedMS > 10_000 }))
	a.end()
	if len(roots()) != 1 {
		t.Errorf("the viewers have %d versions of the file, want the new one alone", len(roots()))
	}
	t.Logf("%d segments played before, %d in all", old, a.played)
	if a.wrong != 0 {
		t.Errorf("%d segments that were played are not the origin's", a.wrong)
	}
	if n := s.banned(); n != 0 {
		t.Errorf("%d peers are banned", n)
	}
	for n, p := range a.players {
		if v := p.Stats(); v.BadChunks != 0 {
			t.Errorf("viewer %d saw %d bad chunks", n, v.BadChunks)
		}
	}
	if strings.Contains(a.log.String(), "bad chunk") {
		t.Error("a viewer found a chunk of another bad")
	}
}
