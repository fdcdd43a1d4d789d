package lab

import (
	"testing"
	"time"
)

// backWithin is how long after the end of an event two viewers may take to share again.
const backWithin = 15 * time.Second

const (
	// luck is by how much two viewers' stalls differ through nothing but the moments at
	// which they try again: an attempt to connect that meets the outage lasts 3 s.
	luck = 3000 // ms
	// busy is for how long a machine that plays for all tests may hold one viewer up.
	busy = 300 // ms
)

// event is something that happens to the first of two viewers while both play.
type event struct {
	name  string
	a, b  Kind
	relay Relay
	long  bool
	pair  string // what the pair is then
	// happens does it, and returns when it is over: from then on sharing is waited for.
	happens func(e *Edge, h *Host)
}

func outage(d time.Duration) func(*Edge, *Host) {
	return func(_ *Edge, h *Host) {
		h.Cut()
		time.Sleep(d)
		h.Mend()
	}
}

var events = []event{
	{name: "a symmetric router forgets", a: Symmetric, b: PortPreserving, relay: Relay3478, happens: func(_ *Edge, h *Host) { h.Flush() }},
	{name: "a router forgets", a: PortPreserving, b: PortPreserving, happens: func(_ *Edge, h *Host) { h.Flush() }},
	{name: "outage of 3 s", a: PortPreserving, b: PortPreserving, happens: outage(3 * time.Second)},
	{name: "outage of 10 s", a: PortPreserving, b: PortPreserving, happens: outage(10 * time.Second)},
	{name: "outage of 40 s", a: PortPreserving, b: PortPreserving, long: true, happens: outage(40 * time.Second)},
	{name: "another address, in silence", a: PortPreserving, b: PortPreserving, pair: direct, happens: func(_ *Edge, h *Host) { h.Move(false) }},
	{name: "another address, with RST", a: PortPreserving, b: PortPreserving, pair: direct, happens: func(_ *Edge, h *Host) { h.Move(true) }},
	{name: "UDP is blocked", a: PortPreserving, b: PortPreserving, relay: Relay443, pair: "relay", happens: func(_ *Edge, h *Host) { h.BlockUDP() }},
	{name: "a firewall closes and opens", a: PortPreserving, b: PortPreserving, relay: Relay443, long: true, happens: func(_ *Edge, h *Host) {
		h.BlockAllButWeb()
		time.Sleep(10 * time.Second)
		h.Mend()
	}},
	{name: "the edge restarts", a: PortPreserving, b: PortPreserving, happens: func(e *Edge, _ *Host) {
		e.Stop()
		e.Start()
	}},
}

// settled is what a viewer has buffered once it has filled up after its start: of 6 s that a
// live stream of 2 s segments lists ahead of it, all but what is still on its way. A viewer
// fills up from neighbors, and so later than one without the mesh; what happens is to meet
// both with full buffers.
const settled = 4000 // ms

// TestEvents: two viewers share, something happens, and they share again in time, without
// a stall that a viewer without the mesh does not have.
func TestEvents(t *testing.T) {
	for _, ev := range events {
		t.Run(ev.name, func(t *testing.T) {
			if ev.long && !*all {
				return
			}
			t.Parallel()
			l := New(t)
			e := l.Edge(EdgeConfig{Relay: ev.relay})
			a := l.Host(ev.a)
			b := l.Host(ev.b)
			p, q := a.Peer(e, ""), b.Peer(e, "")
			plain := a.Peer(e, "", "--no-mesh")
			shared := func() int64 { return p.State().PeerBytes + q.State().PeerBytes }
			more := func(than int64, limit time.Duration) (time.Duration, bool) {
				return p.Until(limit, func(State) bool { return shared() > than })
			}
			if _, ok := more(0, 40*time.Second); !ok {
				t.Fatalf("the viewers share nothing before anything happens: %+v, %+v", p.State(), q.State())
			}
			if _, ok := p.Until(30*time.Second, func(s State) bool { return min(s.BufferMS, q.State().BufferMS) >= settled }); !ok {
				t.Fatalf("the viewers do not fill their buffers: %+v, %+v", p.State(), q.State())
			}
			ev.happens(e, a)
			over := time.Now()
			time.Sleep(1500 * time.Millisecond) // what was under way has come
			before := shared()
			if _, ok := more(before, backWithin-1500*time.Millisecond); !ok {
				t.Errorf("they share nothing within %v", backWithin)
			} else {
				t.Logf("they share again after %v", time.Since(over).Round(100*time.Millisecond))
			}
			if _, ok := p.Until(5*time.Second, func(s State) bool {
				ours, _ := s.Open()
				theirs, _ := q.State().Open()
				return ev.pair == "" || pair(a, b, ours, theirs) == ev.pair
			}); !ok {
				t.Errorf("the pair is not %q: %v; %v", ev.pair, p.State().Paths, q.State().Paths)
			}
			time.Sleep(2 * time.Second)
			s, o, without := p.State(), q.State(), plain.State()
			t.Logf("stalled: %d ms and %d ms, without the mesh %d ms; paths %v", s.StallMS, o.StallMS, without.StallMS, s.Paths)
			if s.StartupMS == 0 || s.StallMS > without.StallMS+busy+luck*min(without.Stalls, 1) || o.StallMS > without.StallMS+busy {
				t.Errorf("stalled: %d ms and %d ms, without the mesh %d ms", s.StallMS, o.StallMS, without.StallMS)
			}
		})
	}
}
