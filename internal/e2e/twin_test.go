package e2e

import (
	"flag"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/examples/live"
	"github.com/viewmesh/viewmesh/examples/peer/hls"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/meshcore/sim"
)

// twinFor is how long the real run is. A longer one:
//
//	go test ./internal/e2e -run TestTwin -v -timeout 30m -twin 20m
var twinFor = flag.Duration("twin", 40*time.Second, "how long TestTwin has its viewers play")

// TestTwin: the offload of 8 viewers of the reference peer, in front of a real
// edge, is within 5 points of what the simulator says for the same set-up.
func TestTwin(t *testing.T) {
	const (
		viewers = 8
		arrive  = 500 * time.Millisecond // between two
		points  = 5
	)
	noLeaks(t)
	base := demo(t)
	client := newClient(t)
	o := newOriginal(t, live.Config{})
	play := player.Config{URL: parseURL(t, base+"/live/v0/index.m3u8"), Played: o.check} // the picture alone: one kind of segment
	length, rate := measure(t, o.origin, "/v0/")

	c := newCrowd(t)
	from := time.Now()
	for i := range viewers {
		time.Sleep(time.Until(from.Add(time.Duration(i) * arrive)))
		c.play(play, client)
	}
	time.Sleep(time.Until(from.Add(*twinFor))) // the run, not a wait for something
	var peers, origin, stalls int64
	for _, p := range c.players {
		s := p.Stats()
		peers, origin, stalls = peers+s.PeerBytes, origin+s.OriginBytes, stalls+s.Stalls
	}
	c.end()
	real := float64(peers) / float64(peers+origin)

	// What the run above is, in the simulator's words. The links are those of
	// loopback: as fast as WebRTC gets here, and next to no latency.
	scenario := sim.Scenario{
		Name: "twin", Live: true, Minutes: twinFor.Minutes(), SegmentS: length.Seconds(), RateMbps: rate / 1e6,
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
		said, ceiling = said+r.Offload/seeds, r.Ceiling
	}
	t.Logf("%v, %d viewers, %.3f Mbit/s in segments of %v: real offload %.1f %%, simulated %.1f %% (mean of %d seeds), ceiling %.1f %%",
		*twinFor, viewers, scenario.RateMbps, length, 100*real, 100*said, seeds, 100*ceiling)
	if off := 100 * math.Abs(real-said); off > points {
		t.Errorf("the real run is %.1f points away from the simulator, at most %d are allowed", off, points)
	}
	if stalls != 0 {
		t.Errorf("%d stalls", stalls)
	}
	if t.Failed() {
		t.Log(c.log)
	}
}

// measure gives the length of the segments of a rendition and its rate, in bits a
// second, from one turn of the sample.
func measure(t *testing.T, origin http.Handler, rendition string) (length time.Duration, rate float64) {
	t.Helper()
	get := func(path string) []byte {
		w := httptest.NewRecorder()
		origin.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		if w.Code != http.StatusOK {
			t.Fatalf("%s: status %d", path, w.Code)
		}
		return w.Body.Bytes()
	}
	base := parseURL(t, "http://origin"+rendition+"index.m3u8")
	pl, err := hls.Parse(get(base.Path), base)
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
