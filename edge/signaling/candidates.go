package signaling

import (
	"net/netip"
	"slices"
	"strings"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// metadata are the addresses at which clouds tell a machine its secrets. No candidate names
// them.
var metadata = []netip.Addr{
	netip.MustParseAddr("169.254.169.254"), netip.MustParseAddr("169.254.170.2"), netip.MustParseAddr("100.100.100.200"),
	netip.MustParseAddr("192.0.0.192"), netip.MustParseAddr("fd00:ec2::254"), netip.MustParseAddr("fd20:ce::254"),
}

// between returns an offer, answer or candidate with those candidates that one peer may name
// to another, or nil if nothing is left. Between peers of one place (near) that are all but
// metadata addresses and host names. Others get public addresses over UDP only: private
// ones do not lead to them, and a page that tries them would have its viewer asked for
// access to the local network, or probe it for the sender.
func between(m *signal.Message, near bool) *signal.Message {
	out := *m
	switch m.Type {
	case signal.Offer, signal.Answer:
		out.SDP = rewriteSDP(m.SDP, func(c string) (string, bool) { return publicCandidate(c, near) }, !near)
		if len(out.SDP) > signal.MaxSDP { // lines end in more bytes than they did
			return nil
		}
	case signal.Candidate:
		if m.Candidate == nil {
			return nil
		}
		c := *m.Candidate
		var ok bool
		if c.Candidate, ok = publicCandidate(c.Candidate, near); !ok {
			return nil
		}
		out.Candidate = &c
	}
	return &out
}

// publicCandidate returns a candidate for a peer that is near or not, without its related
// address for one that is not; ok is false if it may not be named. The empty one, which
// ends the candidates, stays. Fields are separated by one space each, so that nobody reads
// another candidate in it than was looked at.
func publicCandidate(s string, near bool) (string, bool) {
	if strings.TrimSpace(s) == "" {
		return s, true
	}
	f := strings.Fields(s)
	if len(f) < 8 || !strings.EqualFold(f[6], "typ") {
		return "", false
	}
	// A browser names its own addresses by mDNS, which nobody else can resolve (RFC 8828);
	// other names would be looked up.
	a, err := netip.ParseAddr(f[4])
	switch {
	case err != nil && !(near && isMDNS(f[4])), err == nil && slices.Contains(metadata, a.Unmap().WithZone("")):
		return "", false
	case near:
		return strings.Join(f, " "), true
	case !admission.IsPublic(a), !strings.EqualFold(f[2], "udp"):
		return "", false
	}
	return withoutRelated(f), true
}

// isMDNS reports whether a name is of the kind that browsers make: one random label.
func isMDNS(name string) bool {
	label, ok := strings.CutSuffix(strings.ToLower(name), ".local")
	return ok && label != "" && strings.Trim(label, "0123456789abcdef-") == ""
}
