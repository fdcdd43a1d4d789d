package lab

import (
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

// opensWithin bounds the time from the first offer to the open channel.
const opensWithin = 5 * time.Second

func TestProbe(t *testing.T) {
	l := New(t)
	e := l.Edge(EdgeConfig{Relay: Relay3478})
	a, b := l.Host(PortPreserving), l.Host(Symmetric)
	p, q := a.Peer(e), b.Peer(e)
	took, ok := p.Until(20*time.Second, func(s State) bool { return s.PeerBytes > 0 })
	t.Log(took, ok, p.State(), q.State())
	if !ok {
		t.Fail()
	}
}
