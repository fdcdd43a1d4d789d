package lab

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// weather is a network in which an audience comes to an edge, each viewer over a link of
// its own.
type weather struct {
	name    string
	edge    EdgeConfig
	viewers int
	link    Link
	long    bool
	lasts   time.Duration
	happens func(e *Edge) // beside the play
	asked   asked
}

// asked is what an audience must come to.
type asked struct {
	within  time.Duration // all start; 0 is not asked
	offload float64       // at least
}

// outcome is how it went for an audience.
type outcome struct {
	viewers, started     int
	p50, last            time.Duration // start-up
	stalled              time.Duration
	stalls               int64
	peers, origin, edges int64 // bytes: as viewers counted, and of segments as the edge did
}

func (o outcome) offload() float64 { return float64(o.peers) / float64(max(1, o.peers+o.origin)) }

func (o outcome) String() string {
	return fmt.Sprintf("%d of %d started, p50 %.1f s, the last %.1f s; %d stalls, %.1f s; offload %.3f; the edge sent %.2f MB",
		o.started, o.viewers, o.p50.Seconds(), o.last.Seconds(), o.stalls, o.stalled.Seconds(), o.offload(), float64(o.edges)/1e6)
}

// play has the audience play, with or without the mesh.
func (w *weather) play(t *testing.T, flags ...string) (o outcome) {
	t.Helper()
	l := New(t)
	e := l.Edge(w.edge)
	hosts := make([]*Host, w.viewers)
	for i := range hosts {
		if w.link == (Link{}) {
			hosts[i] = l.Host(Public)
		} else {
			hosts[i] = l.Host(Public, w.link)
		}
	}
	before, _ := e.Sent()
	var peers []*Peer
	for _, h := range hosts {
		peers = append(peers, h.Peer(e, "", append([]string{"--every", "1s"}, flags...)...))
	}
	over := time.Now().Add(w.lasts)
	if w.happens != nil {
		w.happens(e)
	}
	time.Sleep(time.Until(over))
	var starts []time.Duration
	for _, p := range peers {
		s := p.State()
		p.Stop()
		o.viewers++
		o.stalls += s.Stalls
		o.stalled += time.Duration(s.StallMS) * time.Millisecond
		o.peers += s.PeerBytes
		o.origin += s.OriginBytes
		if s.StartupMS > 0 {
			o.started++
			starts = append(starts, time.Duration(s.StartupMS)*time.Millisecond)
		}
	}
	if slices.Sort(starts); len(starts) > 0 {
		o.p50, o.last = starts[len(starts)/2], starts[len(starts)-1]
	}
	sent, _ := e.Sent()
	o.edges = sent - before
	return o
}

// narrow is an edge whose uplink carries six viewers of the stream, and says so.
var narrow = EdgeConfig{HTTP: true, Link: Link{Up: 3e6, Rate: 100e6}, Options: "capacity 375kB"}

var weathers = []weather{
	{name: "12 at once", edge: narrow, viewers: 12, lasts: 15 * time.Second, asked: asked{within: 8 * time.Second, offload: 0.7}},
	{name: "40 at once", edge: narrow, viewers: 40, lasts: 35 * time.Second, long: true, asked: asked{offload: 0.6}},
	{name: "far origin", edge: EdgeConfig{HTTP: true, Link: Link{Rate: 100e6, Delay: 150 * time.Millisecond}, Window: 36 << 10},
		viewers: 8, lasts: 45 * time.Second, long: true},
	{name: "thin uplinks", edge: EdgeConfig{HTTP: true}, viewers: 8, link: Link{Rate: 20e6, Up: 300e3, Delay: 5 * time.Millisecond},
		lasts: 45 * time.Second, long: true},
	{name: "brownout", edge: EdgeConfig{HTTP: true, Link: Link{Rate: 20e6}, Options: "capacity 2500kB"}, viewers: 12, lasts: 100 * time.Second,
		long: true, happens: func(e *Edge) {
			time.Sleep(20 * time.Second)
			e.Share(0.1)
			time.Sleep(60 * time.Second)
			e.Share(1)
		}},
}

// TestWeather: in bad weather everybody starts and plays. With -all each audience plays
// without the mesh, too, and stalls for no longer with it.
func TestWeather(t *testing.T) {
	for _, w := range weathers {
		t.Run(w.name, func(t *testing.T) {
			if w.long && !*all {
				return
			}
			mesh := w.play(t)
			t.Logf("with the mesh: %v", mesh)
			if mesh.started < mesh.viewers || w.asked.within > 0 && mesh.last > w.asked.within || mesh.offload() < w.asked.offload {
				t.Errorf("with the mesh: %v; asked is %+v", mesh, w.asked)
			}
			if !*all {
				return
			}
			plain := w.play(t, "--no-mesh")
			t.Logf("without the mesh: %v", plain)
			if mesh.stalled > plain.stalled+busy*time.Millisecond {
				t.Errorf("with the mesh viewers stall for %v, without for %v", mesh.stalled, plain.stalled)
			}
		})
	}
}
