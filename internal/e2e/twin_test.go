package e2e

import (
	"flag"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/sim"
)

// twinFor is how long the real run is, from when most are connected to most. A longer one:
//
//	go test ./internal/e2e -run TestTwin -v -timeout 30m -twin 20m
var twinFor = flag.Duration("twin", 30*time.Second, "how long TestTwin has its viewers play, in steps of 10s")

// TestTwin: the offload of 8 viewers of the reference peer, in front of a real
// edge, is within 5 points of what the simulator says for the same set-up. It is
// that from when they are connected: before, the real run shows how long handshakes
// take on a busy machine, of which the simulator knows nothing.
func TestTwin(t *testing.T) {
	const (
		viewers = 8
		arrive  = 500 * time.Millisecond // between two
		settled = 20 * time.Second       // when they are, in the simulator
		points  = 5
	)
	noLeaks(t)
	base := demo(t)
	client := newClient(t)
	o := newOriginal(t, live.Config{})
	play := player.Config{URL: parseURL(t, base+"/live/v0/index.m3u8"), Played: o.check} // the picture alone: one kind of segment
	length, rate := measure(t, "/v0/")

	c := newCrowd(t)
	from := time.Now()
	for i := range viewers {
		time.Sleep(time.Until(from.Add(time.Duration(i) * arrive)))
		c.play(play, client)
	}
	c.until("most of the others", 2*time.Minute, func(s viewer.Stats) bool { return s.StartupMS > 0 && s.Report.Neighbors >= viewers*3/4 })
	early := c.total()
	time.Sleep(*twinFor) // the run, not a wait for something
	all := c.total()
	c.end()
	peers, origin := all.PeerBytes-early.PeerBytes, all.OriginBytes-early.OriginBytes
	real := float64(peers) / float64(peers+origin)

	// What the run above is, in the simulator's words. The links are those of
	// loopback: as fast as WebRTC gets here, and next to no latency.
	scenario := sim.Scenario{
		Name: "twin", Live: true, Minutes: (settled + *twinFor).Minutes(), SegmentS: length.Seconds(), RateMbps: rate / 1e6,
		BehindS: 3 * length.Seconds(), WindowS: live.DefaultWindow * length.Seconds(), ReloadS: 0.3,
		Viewers: viewers, ArriveS: viewers * arrive.Seconds(),
		DownMbps: 100, UpMbps: 100, LatencyMinMS: 0.1, LatencyMaxMS: 0.3, OriginMS: 0.3,
	}
	const seeds = 8
	var said, ceiling float64
	for seed := range uint64(seeds) {
		scenario.Seed = seed
		if err := scenario.Check(); err != nil {
			t.Fatal(err)
		}
		r := sim.Run(scenario, sim.Mesh, sim.Options{})
		var peers, origin int64
		for _, p := range r.Series {
			if p.Seconds >= settled.Seconds() {
				peers, origin = peers+p.PeerBytes, origin+p.OriginBytes
			}
		}
		said, ceiling = said+float64(peers)/float64(peers+origin)/seeds, r.Ceiling
	}
	t.Logf("%v, %d viewers, %.3f Mbit/s in segments of %v: real offload %.1f %%, simulated %.1f %% (mean of %d seeds), ceiling %.1f %%; real with the start %.1f %%",
		*twinFor, viewers, scenario.RateMbps, length, 100*real, 100*said, seeds, 100*ceiling, 100*float64(all.PeerBytes)/float64(all.PeerBytes+all.OriginBytes))
	if off := 100 * math.Abs(real-said); off > points {
		t.Errorf("the real run is %.1f points away from the simulator, at most %d are allowed", off, points)
	}
	if all.Stalls != 0 {
		t.Errorf("%d stalls", all.Stalls)
	}
	if t.Failed() {
		t.Log(c.log)
	}
}

// total sums up what the viewers have so far.
func (c *crowd) total() (sum signal.Report) {
	for _, p := range c.players {
		s := p.Stats()
		sum.PeerBytes += s.PeerBytes
		sum.OriginBytes += s.OriginBytes
		sum.Stalls += s.Stalls
	}
	return sum
}

// measure gives the length of the segments of a rendition of the live stream and its
// rate, in bits a second, over one turn of the sample.
func measure(t *testing.T, rendition string) (length time.Duration, rate float64) {
	t.Helper()
	origin, err := live.New(live.Config{Window: 24})
	if err != nil {
		t.Fatal(err)
	}
	get := func(path string) []byte {
		w := httptest.NewRecorder()
		origin.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s: status %d", path, w.Code)
		}
		return w.Body.Bytes()
	}
	base := parseURL(t, "http://origin"+rendition+"index.m3u8")
	pl, err := manifest.ReadHLS(get(base.Path), manifest.Source{URL: base})
	if err != nil {
		t.Fatal(err)
	}
	bytes := 0
	var all time.Duration
	for _, s := range pl.Segments {
		bytes += len(get(s.URL.Path))
		all += s.Duration
	}
	return all / time.Duration(len(pl.Segments)), 8 * float64(bytes) / all.Seconds()
}
