package e2e

import (
	"net/http"
	"net/http/httptest"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// TestLowLatency: viewers of a low-latency stream play its parts, which they take
// from each other, closer to live than one who plays whole segments, with the
// origin's bytes and without a stall. Parts have names of their own, or are ranges.
// Both play at the same time, on two sites of one edge. It is the smallest rendition,
// and players keep 3 s from the end, so that a busy machine does not stall them.
func TestLowLatency(t *testing.T) {
	noLeaks(t)
	var packagers []*original
	var upstreams []string
	for _, ranges := range []bool{false, true} {
		o := newOriginal(t, live.Config{Part: 500 * time.Millisecond, PartHoldBack: 3 * time.Second, PartRanges: ranges})
		streams := httptest.NewServer(http.StripPrefix("/live", o.origin))
		t.Cleanup(streams.Close)
		packagers, upstreams = append(packagers, o), append(upstreams, streams.Listener.Addr().String())
	}
	urls := front(t, upstreams...)
	for i, name := range []string{"parts", "ranges"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o, base := packagers[i], urls[i]
			client := newClient(t)
			c := newCrowd(t)
			var parts atomic.Int64
			const viewers = 4
			ends := make([]passed, viewers+1) // the last is of the viewer of whole segments
			check := func(i int) func(r manifest.Resource, data []byte) {
				return func(r manifest.Resource, data []byte) {
					o.check(r, data)
					ends[i].note(r)
					if isPart(r) {
						parts.Add(1)
					}
				}
			}
			play := player.Config{URL: parseURL(t, base+"/live/v2/index.m3u8")}
			for others := range viewers {
				play.Played = check(others)
				c.play(play, client)
				c.until("a neighbor", time.Minute, func(s viewer.Stats) bool {
					return s.Joined && s.StartupMS > 0 && (s.Report.Neighbors > 0 || others == 0)
				})
			}
			play.WholeSegments, play.Viewer.NoMesh, play.Played = true, true, check(viewers)
			c.play(play, client)
			c.until("20 s of media", time.Minute, func(s viewer.Stats) bool { return s.PlayedMS >= 20_000 })
			var peers, origin int64
			for i, p := range c.players[:viewers] {
				s := p.Stats()
				t.Logf("viewer %d: %d bytes from peers, %d from the origin, %d stalls", i, s.PeerBytes, s.OriginBytes, s.Stalls)
				if s.Stalls != 0 || s.BadChunks != 0 {
					t.Errorf("viewer %d: %d stalls, %d bad chunks", i, s.Stalls, s.BadChunks)
				}
				peers += s.PeerBytes
				origin += s.OriginBytes
			}
			c.end()
			for i := range viewers {
				lead, common := ends[i].ahead(&ends[viewers])
				if common == 0 || lead <= 0 {
					t.Errorf("viewer %d of parts is %v ahead of one of whole segments, in %d segments that both played", i, lead, common)
				}
				t.Logf("viewer %d is %v ahead of one of whole segments", i, lead.Round(time.Millisecond))
			}
			t.Logf("offload %.1f %%", 100*float64(peers)/float64(peers+origin))
			if peers <= origin/2 { // what was played before they were connected is the origin's
				t.Errorf("%d bytes came from peers and %d from the origin", peers, origin)
			}
			// Each second of media is two parts.
			if want := int64(viewers * 20 * 2 / 2); parts.Load() < want {
				t.Errorf("%d parts were played, want %d at least", parts.Load(), want)
			}
			if t.Failed() {
				t.Log(c.log)
			}
		})
	}
}

// passed is when a playhead came to the end of segments, by their names without the
// number of a part.
type passed struct {
	mu   sync.Mutex
	ends map[string]time.Time
}

// note takes a segment, or a part of one; the last part counts.
func (p *passed) note(r manifest.Resource) {
	name, _, _ := strings.Cut(path.Base(r.URL.Path), ".")
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ends == nil {
		p.ends = map[string]time.Time{}
	}
	p.ends[name] = time.Now()
}

// ahead is how much earlier p came to the end of segments than q, on average, and of
// how many.
func (p *passed) ahead(q *passed) (mean time.Duration, common int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	q.mu.Lock()
	defer q.mu.Unlock()
	for name, at := range p.ends {
		if other, ok := q.ends[name]; ok {
			mean += other.Sub(at)
			common++
		}
	}
	if common > 0 {
		mean /= time.Duration(common)
	}
	return mean, common
}

// isPart reports whether a resource of the live origin is a part.
func isPart(r manifest.Resource) bool {
	return r.Length > 0 || strings.Count(path.Base(r.URL.Path), ".") == 2
}
