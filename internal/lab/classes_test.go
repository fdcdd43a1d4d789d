package lab

import (
	"flag"
	"fmt"
	"sync"
	"testing"
	"time"
)

// class is a pair of hosts: of what kind the pair of candidates is that they come to use
// with each relay, "" for none. A NAT that filters by port and one that maps each endpoint
// anew see each other as prflx (RFC 8445, section 7.3.1.3), which is as direct as srflx.
type class struct {
	a, b   Kind
	beside bool // in one home
	none   string
	relay  string // with Relay3478
	web    string // with Relay443
}

const direct = "direct" // srflx or prflx

var classes = []class{
	{a: Public, b: Public, none: "host", relay: "host", web: "host"},
	{a: PortPreserving, b: PortPreserving, beside: true, none: "host", relay: "host", web: "host"},
	{a: PortPreserving, b: PortPreserving, none: direct, relay: direct, web: direct},
	{a: PortPreserving, b: Symmetric, none: "", relay: "relay", web: "relay"},
	{a: Symmetric, b: Symmetric, none: "", relay: "relay", web: "relay"},
	{a: FullCone, b: Symmetric, none: direct, relay: direct, web: direct},
	{a: Hairpin, b: Hairpin, beside: true, none: "host", relay: "host", web: "host"},
	{a: CGNAT, b: PortPreserving, none: "", relay: "relay", web: "relay"},
	{a: CGNAT, b: FullCone, none: direct, relay: direct, web: direct},
	{a: Firewall, b: PortPreserving, none: "", relay: "", web: "relay"},
	{a: Firewall, b: Firewall, none: "", relay: "", web: "relay"},
	{a: IPv6Only, b: IPv6Only, none: "host", relay: "host", web: "host"},
	{a: IPv6Only, b: Dual, none: "host", relay: "host", web: "host"},
	{a: IPv6Only, b: PortPreserving, none: "", relay: "relay", web: "relay"},
	{a: Dual, b: Symmetric, none: "", relay: "relay", web: "relay"},
}

// opensWithin bounds the time from the first offer to the open channel, and waits how long
// a pair that cannot connect is watched.
const (
	opensWithin = 5 * time.Second
	waits       = 6 * time.Second
)

// expect is the kind of pair that a class comes to with a relay.
func (c *class) expect(r Relay) string {
	switch r {
	case NoRelay:
		return c.none
	case Relay443:
		return c.web
	case RelayOnly:
		if c.a == Firewall || c.b == Firewall {
			return ""
		}
		return "relay"
	}
	return c.relay
}

var all = flag.Bool("all", false, "try all classes with all relays, and the longest outage")

// shows reports whether a class is one of those that say most of a relay.
func (c *class) shows(r Relay) bool {
	switch r {
	case NoRelay:
		return c.none == direct
	case Relay443:
		return c.web != c.relay
	case RelayOnly:
		return c.a == Public || c.a == Symmetric
	}
	return true
}

// TestClasses: each pair of kinds of hosts connects by the cheapest path that there is with
// each kind of relay, in time, and bytes travel over it.
func TestClasses(t *testing.T) {
	for _, c := range []EdgeConfig{{Relay: NoRelay, HTTP: true}, {Relay: Relay3478}, {Relay: Relay443}, {Relay: RelayOnly}} {
		t.Run(string(c.Relay), func(t *testing.T) {
			l := New(t)
			e := l.Edge(c)
			var work sync.WaitGroup
			slots := make(chan struct{}, 3) // few at once: times are looked at
			for i := range classes {
				of := &classes[i]
				if !*all && !of.shows(c.Relay) {
					continue
				}
				a := l.Host(of.a)
				var b *Host
				if of.beside {
					b = a.Beside()
				} else {
					b = l.Host(of.b)
				}
				name := fmt.Sprintf("%s and %s", of.a, of.b)
				if of.beside {
					name = fmt.Sprintf("two behind one %s", of.a)
				}
				work.Go(func() {
					slots <- struct{}{}
					defer func() { <-slots }()
					meet(t, e, name, a, b, of.expect(c.Relay), fmt.Sprint(i))
				})
			}
			work.Wait()
		})
	}
}

// meet has two hosts play, and looks how they connect.
func meet(t *testing.T, e *Edge, name string, a, b *Host, want, stream string) {
	p, q := a.Peer(e, stream), b.Peer(e, stream)
	defer p.Stop()
	defer q.Stop()
	met := func(s State) bool { path, ok := s.Open(); return ok && path.FirstByteMS > 0 }
	limit := 20 * time.Second
	if want == "" {
		limit = waits
	}
	end := time.Now().Add(limit)
	for !met(p.State()) && !met(q.State()) && time.Now().Before(end) {
		time.Sleep(100 * time.Millisecond)
	}
	// An end may see as prflx what is the other's host, if it was quicker than signaling;
	// the other end then knows better.
	path, ok := p.State().Open()
	if other, its := q.State().Open(); its && (!ok || path.FirstByteMS == 0 || other.Kind() == "host") {
		path, ok = other, true
	}
	kind := path.Kind()
	if kind == "srflx" || kind == "prflx" {
		kind = direct
	}
	if a.home != b.home && want == "host" && path.Local == "host" && path.Remote == "prflx" {
		kind = "host" // there is no NAT between these two, and nobody to be mistaken for
	}
	t.Logf("%-40s %s", name, path)
	switch {
	case kind != want:
		t.Errorf("%s: the pair is %q, want %q: %s", name, kind, want, path)
	case ok && time.Duration(path.OpenMS)*time.Millisecond > opensWithin:
		t.Errorf("%s: it took %d ms to connect", name, path.OpenMS)
	case ok && p.State().PeerBytes+q.State().PeerBytes == 0:
		t.Errorf("%s: no byte came from the neighbor", name)
	}
}
