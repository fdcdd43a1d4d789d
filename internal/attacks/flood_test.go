package attacks

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// TestFlood: a peer sends a viewer 80 MiB of chunks that it has not asked for, of segments
// that it will play and of some that nobody has listed, beside have-maps of as many more.
// The viewer keeps none of it, then or after the peer has gone, and plays on.
func TestFlood(t *testing.T) {
	s := newSite(t, "")
	a := s.audience()
	token := s.token("/film/", time.Hour)
	victim := a.join(token, nil)
	a.until("a viewer", 20*time.Second, a.all(func(v viewer.Stats) bool { return v.Joined && v.PlayedMS > 0 }))
	client := s.client(token)
	session := s.open(client, s.bootstrap(client, "film"))
	i := intrude(t, client, session, session.Pass)
	if !i.waitFor(wire.Have, 1, 20*time.Second) {
		t.Fatal("the viewer does not talk")
	}
	to := victim.Stats().Peer
	before := heap()
	const chunks = 20
	data := make([]byte, wire.MaxChunk)
	sent := make(chan struct{}, chunks)
	for n := range chunks {
		i.mu.Lock()
		c := i.conns[to]
		i.mu.Unlock()
		id := wire.SegmentID(1<<40 + n)
		if n%2 == 0 {
			id = integrity.ID(fmt.Sprintf("/film/%d.ts", segments-1-n), 0, 0)
		}
		haves := make([]wire.SegmentHave, 200)
		for h := range haves {
			haves[h] = wire.SegmentHave{Segment: wire.SegmentID(1<<41 + 1000*n + h), Chunks: wire.MaxChunks, Mask: ^uint64(0)}
		}
		c.Send(&wire.Message{Type: wire.Have, Haves: append(haves, wire.SegmentHave{Segment: id, Chunks: wire.MaxChunks, Mask: ^uint64(0)})})
		c.SendChunk(id, uint8(n), data, nil, func() { sent <- struct{}{} })
		select {
		case <-sent:
		case <-time.After(60 * time.Second):
			if v := victim.Stats(); v.Neighbors == 0 {
				t.Logf("the viewer has dropped the peer after %d chunks", n)
				return
			}
			t.Fatalf("chunk %d does not get through", n)
		}
	}
	// Of what nobody listed the viewer does not even count the bytes.
	a.until("the flood to arrive", 60*time.Second, func() bool { return victim.Stats().DuplicateBytes >= (chunks/2-1)*wire.MaxChunk })
	// What is under way at both ends is a few chunks, and the viewer's own buffer.
	const most = 32 << 20
	if grown := heap() - before; grown > most {
		t.Errorf("a flood of %d MiB takes %d MiB of memory", chunks*wire.MaxChunk>>20, grown>>20)
	}
	played := victim.Stats().PlayedMS
	a.until("more to be played", 30*time.Second, func() bool { return victim.Stats().PlayedMS > played+2000 })
	a.end()
	if a.wrong != 0 || victim.Stats().Stalls > 1 {
		t.Errorf("%d segments played are not the origin's, %d stalls", a.wrong, victim.Stats().Stalls)
	}
}

// heap is how much memory is in use.
func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
