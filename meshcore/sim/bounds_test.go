package sim

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// small gives a built-in scenario with fewer viewers and minutes.
func small(t testing.TB, name string, viewers int, minutes float64) Scenario {
	t.Helper()
	sc, err := Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	sc.Viewers, sc.Minutes = min(viewers, sc.Viewers), minutes
	if sc.ExodusS > 0 {
		sc.ExodusS = minutes * 30
	}
	if sc.Poisson {
		sc.FilmS, sc.ArriveS = minutes*20, minutes*30
	}
	return sc
}

// TestNothingBeatsTheBounds runs every scenario under every policy, small, and
// holds the world's counts against each other: a simulator that is too kind shows
// here.
func TestNothingBeatsTheBounds(t *testing.T) {
	for _, name := range Names() {
		for _, p := range []Policy{Mesh, WindowRandom, OriginOnly} {
			t.Run(name+"/"+string(p), func(t *testing.T) {
				sc := small(t, name, 24, 1.5)
				sc.OriginMbps = 400
				w := newWorld(sc, p)
				copies := map[wire.SegmentID]uint64{}
				var distinct int64
				w.onGot = func(_ time.Duration, _ *node, id wire.SegmentID, chunk uint8, _ bool) {
					if copies[id]>>chunk&1 == 0 {
						copies[id] |= 1 << chunk
						distinct += w.chunkBytes(ref(id).rendition, chunk)
					}
				}
				w.run(Options{})
				r := w.result()
				m := &w.m
				if r.Offload > r.Ceiling {
					t.Errorf("offload %.4f is above the ceiling %.4f", r.Offload, r.Ceiling)
				}
				if p == OriginOnly && r.PeerBytes != 0 {
					t.Errorf("origin-only took %d bytes from peers", r.PeerBytes)
				}
				if m.fromOrigin+m.fromPeers < int64(sc.Viewers)*w.layouts[0].Size {
					t.Errorf("only %d bytes came at all", m.fromOrigin+m.fromPeers)
				}
				// A byte that anybody has came from the origin once at least.
				if m.fromOrigin < distinct {
					t.Errorf("%d bytes came from the origin, of which %d are distinct", m.fromOrigin, distinct)
				}
				// What the origin sent reached an engine, or nobody, or is under way.
				underway := int64(0)
				for _, n := range w.nodes {
					for _, f := range n.fetches.all {
						if f.seg != 0 {
							underway += w.chunkBytes(ref(f.seg).rendition, f.sending)
						}
					}
				}
				if rest := m.egressed - m.delivered - m.lost; rest < 0 || rest > underway {
					t.Errorf("the origin sent %d, %d came, %d were lost, at most %d are under way", m.egressed, m.delivered, m.lost, underway)
				}
				// The engines' own reports agree to the byte.
				if m.origin != m.delivered {
					t.Errorf("engines report %d bytes from the origin, it delivered %d", m.origin, m.delivered)
				}
				if m.peer != m.fromPeers {
					t.Errorf("engines report %d bytes from peers, the holdings have %d", m.peer, m.fromPeers)
				}
				if r.Violations != 0 {
					t.Errorf("%d chunks given or segments played that were not there", r.Violations)
				}
				// Nobody sent more than its uplink takes, and what came was sent.
				var sent int64
				for _, n := range w.nodes {
					sent += n.tally.uploaded
					queued := max(0, n.upFree-w.end)
					if here := min(n.player.left, w.end) - n.player.came + queued; float64(n.tally.uploaded) > n.up*here.Seconds()*1.0001+1 {
						t.Errorf("viewer %d sent %d bytes in %v at %.0f bytes/s", n.id, n.tally.uploaded, here, n.up)
					}
					if n.noUpload && n.tally.uploaded > 0 {
						t.Errorf("viewer %d gives nothing and sent %d bytes", n.id, n.tally.uploaded)
					}
				}
				if m.fromPeers > sent {
					t.Errorf("%d bytes came from peers, who sent %d", m.fromPeers, sent)
				}
				var series int64
				for _, s := range r.Series {
					series += s.PeerBytes
				}
				if series > r.PeerBytes || series < r.PeerBytes-r.PeerBytes/50 {
					t.Errorf("the series has %d bytes from peers, all are %d", series, r.PeerBytes)
				}
			})
		}
	}
}

// TestChunksSpreadNoFasterThanUplinks: with equal uplinks, in the time that one
// chunk takes on an uplink each holder makes one more at most (1 +
// log2(N/s) slots).
func TestChunksSpreadNoFasterThanUplinks(t *testing.T) {
	sc := small(t, "live-100", 40, 1.5)
	w := newWorld(sc, Mesh)
	slot := taking(int64(w.layouts[0].ChunkSize), bytesPerSecond(sc.UpMbps))
	type key struct {
		id    wire.SegmentID
		chunk uint8
	}
	type copyAt struct {
		at       time.Duration
		fromPeer bool
	}
	copies := map[key][]copyAt{}
	w.onGot = func(now time.Duration, _ *node, id wire.SegmentID, chunk uint8, fromPeer bool) {
		if int(chunk) < w.layouts[0].Chunks()-1 { // the last is shorter
			copies[key{id, chunk}] = append(copies[key{id, chunk}], copyAt{now, fromPeer})
		}
	}
	w.run(Options{})
	fastest := 0.0
	for k, cs := range copies {
		for _, c := range cs {
			holders, made := 0, 0
			for _, o := range cs {
				switch {
				case o.at <= c.at:
					holders++
				case o.fromPeer && o.at <= c.at+slot:
					made++
				}
			}
			if made > holders {
				t.Fatalf("chunk %d of %v: %d holders made %d copies in %v", k.chunk, k.id, holders, made, slot)
			}
			fastest = max(fastest, float64(made)/float64(holders))
		}
	}
	if len(copies) < 100 || fastest == 0 {
		t.Errorf("%d chunks seen, the fastest spread is %.2f a slot: the test sees nothing", len(copies), fastest)
	}
}

// TestSameSeedSameRun: the same scenario, policy and seed give the same events.
func TestSameSeedSameRun(t *testing.T) {
	for _, name := range []string{"mixed-1k", "hostile-1k", "abr-1k", "vod-500", "exodus-1k"} {
		for _, p := range []Policy{Mesh, WindowRandom} {
			sc := small(t, name, 20, 1.5)
			a := Run(sc, p, Options{})
			b := Run(sc, p, Options{Progress: func(float64) {}})
			if a.Trace != b.Trace || a.Offload != b.Offload || a.Messages != b.Messages {
				t.Errorf("%s, %s: traces %s and %s, offload %v and %v", name, p, a.Trace, b.Trace, a.Offload, b.Offload)
			}
			sc.Seed++
			if c := Run(sc, p, Options{}); c.Trace == a.Trace {
				t.Errorf("%s, %s: another seed gives the same trace", name, p)
			}
		}
	}
}

// TestParallelIsTheSame: who goes through the turns of a window, and when, and into how
// many parts they are divided, changes nothing.
func TestParallelIsTheSame(t *testing.T) {
	sideBySide := func(n int, do func(i int)) {
		var wg sync.WaitGroup
		for i := range n {
			wg.Go(func() { do(i) })
		}
		wg.Wait()
	}
	backwards := func(n int, do func(i int)) {
		for i := range n {
			do(n - 1 - i)
		}
	}
	for _, c := range []struct {
		name   string
		policy Policy
	}{{"abr-1k", Mesh}, {"exodus-1k", WindowRandom}, {"vod-500", OriginOnly}} {
		sc := small(t, c.name, 90, 0.6)
		sc.LeaveRate, sc.NoUpload, sc.Polluters, sc.SymmetricNAT, sc.RestrictedNAT = 0.5, 0.2, 0.05, 0.2, 0.2
		want := Run(sc, c.policy, Options{})
		for how, parallel := range map[string]func(int, func(int)){"side by side": sideBySide, "backwards": backwards} {
			if got := Run(sc, c.policy, Options{Parallel: parallel}); !reflect.DeepEqual(got, want) {
				t.Errorf("%s, %s, %s: %+v, one after another %+v", c.name, c.policy, how, got, want)
			}
		}
		w := newWorld(sc, c.policy)
		w.shards = w.shards[:3]
		w.run(Options{})
		if got := w.result(); !reflect.DeepEqual(got, want) {
			t.Errorf("%s, %s, in 3 shards: %+v, in %d %+v", c.name, c.policy, got, shards, want)
		}
	}
}

func TestProgressRuns(t *testing.T) {
	var shares []float64
	Run(small(t, "live-3", 3, 1), OriginOnly, Options{Progress: func(s float64) { shares = append(shares, s) }})
	if n := len(shares); n < 100 || n > 201 || shares[n-1] > 1 || shares[n-1] < 0.9 {
		t.Errorf("%d calls, the last %v", n, shares[max(0, n-1):])
	}
	for i := 1; i < len(shares); i++ {
		if shares[i] < shares[i-1] {
			t.Fatalf("progress went back from %v to %v", shares[i-1], shares[i])
		}
	}
}
