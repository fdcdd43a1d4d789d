package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
)

// TestLive: six viewers of the demo's live stream play 40 s of it. They take most
// of it from each other, play just the origin's bytes, never stall, and the edge
// counts what they count.
func TestLive(t *testing.T) {
	noLeaks(t)
	base := demo(t)
	client := newClient(t)
	o := newOriginal(t, live.Config{})
	c := newCrowd(t)
	// They come one after another. Connecting takes a few seconds on a busy machine
	// under the race detector, and what is played until then is the origin's.
	const viewers = 6
	for others := range viewers {
		c.join(client, base, o, nil)
		c.until("its neighbors", 30*time.Second, func(s viewer.Stats) bool {
			return s.Joined && s.StartupMS > 0 && s.Report.Neighbors == int64(others)
		})
	}
	const length = 40 * time.Second
	c.until("40 s of media", 2*length, func(s viewer.Stats) bool { return s.PlayedMS >= length.Milliseconds() })
	c.end()

	var peers, origin int64
	for i, p := range c.players {
		s := p.Stats()
		t.Logf("viewer %d: %d bytes from peers, %d from the origin, start %d ms, %d stalls, %d bad, %d given",
			i, s.PeerBytes, s.OriginBytes, s.StartupMS, s.Stalls, s.BadChunks, s.UploadedBytes)
		if s.Stalls != 0 || s.BadChunks != 0 {
			t.Errorf("viewer %d: %d stalls, %d bad chunks", i, s.Stalls, s.BadChunks)
		}
		peers += s.PeerBytes
		origin += s.OriginBytes
	}
	offload := float64(peers) / float64(peers+origin)
	t.Logf("offload %.1f %%", 100*offload)
	if offload < 0.6 {
		t.Errorf("offload is %.1f %%, want 60 %% at least", 100*offload)
	}
	if want := viewers * 2 * 20; o.played < want {
		t.Errorf("%d segments were held against the origin, want %d at least", o.played, want)
	}
	s := getStats(t, client, base)
	if !near(s.OriginEgressBytes, origin) || !near(s.OriginBytes, origin) || !near(s.PeerBytes, peers) {
		t.Errorf("the edge sent %d bytes and was told of %d, and of %d from peers; the viewers have %d and %d",
			s.OriginEgressBytes, s.OriginBytes, s.PeerBytes, origin, peers)
	}
	if s.Sessions != 0 {
		t.Errorf("%d sessions are left", s.Sessions)
	}
	if t.Failed() {
		t.Log(c.log)
	}
}

// near says whether two numbers are within 5 %.
func near(a, b int64) bool { return 20*max(a-b, b-a) <= max(a, b) }

// TestLiar: of four viewers one gives wrong bytes. Nobody plays them, all drop
// it, and the edge ends its session. In its next one it may take and not give.
func TestLiar(t *testing.T) {
	noLeaks(t)
	base := demo(t)
	client := newClient(t)
	o := newOriginal(t, live.Config{})
	c := newCrowd(t)
	liar := c.join(client, base, o, func(v *viewer.Config) {
		v.Tamper = func(data []byte) []byte {
			wrong := append([]byte(nil), data...)
			wrong[len(wrong)/2] ^= 1
			return wrong
		}
	})
	c.until("the liar to be in", 20*time.Second, func(s viewer.Stats) bool { return s.Joined && s.PlayedMS > 0 })
	in := liar.Stats().Peer
	for i := range 3 {
		c.join(newClientFrom(t, fmt.Sprintf("127.0.0.%d", 2+i)), base, o, nil)
	}
	c.until("the edge to put the liar out", 60*time.Second, func(viewer.Stats) bool {
		s := liar.Stats()
		return s.Peer != in && s.Joined
	})
	from := liar.Stats().UploadedBytes
	var bad int64
	c.until("10 s of media", 40*time.Second, func(s viewer.Stats) bool { return s.PlayedMS > 10_000 })
	c.end()
	for i, p := range c.players {
		s := p.Stats()
		bad += s.BadChunks
		if s.Stalls != 0 {
			t.Errorf("viewer %d stalled %d times", i, s.Stalls)
		}
	}
	if bad == 0 {
		t.Error("no bad chunk was seen: this was no attack")
	}
	if now := liar.Stats().UploadedBytes; now != from {
		t.Errorf("the liar gave %d bytes after it was put out", now-from)
	}
	if t.Failed() {
		t.Log(c.log)
	}
}
