package caddymodule_test

import (
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestRelayOnly: at a site with relay_only the edge forwards no address of a
// viewer, whatever the viewer sends.
func TestRelayOnly(t *testing.T) {
	e := newEdge(t)
	e.load("mesh {\n turn {\n listen udp/127.0.0.1:0\n relay_address 127.0.0.1\n }\n }",
		"mesh {\n relay_only\n }\n root "+vod(t, 1, 100)+"\n file_server")
	a, b := e.connect(e.openSession("/vod/index.m3u8")), e.connect(e.openSession("/vod/index.m3u8"))
	a.announce(0)
	b.announce(4)
	sdp := "v=0\r\no=- 1 2 IN IP4 0.0.0.0\r\nc=IN IP4 192.0.2.1\r\na=rtcp:5000 IN IP4 192.0.2.1\r\n" +
		"a=candidate:1 1 udp 1 192.0.2.1 5000 typ host\r\na=candidate:3 1 udp 1 203.0.113.7 49160 typ relay raddr 192.0.2.1 rport 5000\r\na=end-of-candidates\r\n"
	b.send(&signal.Message{Type: signal.Offer, To: &a.a.Peer, Connection: "1", SDP: sdp})
	for _, c := range []string{
		"candidate:2 1 udp 1 192.0.2.1 5000 typ srflx raddr 192.0.2.1 rport 5000",
		"candidate:3 1 udp 1 203.0.113.7 49160 typ relay raddr 192.0.2.1 rport 5000", "",
	} {
		b.send(&signal.Message{Type: signal.Candidate, To: &a.a.Peer, Connection: "1", Candidate: &signal.ICECandidate{Candidate: c}})
	}
	offer := a.until(signal.Offer)
	if strings.Contains(offer.SDP, "192.0.2.1") || !strings.Contains(offer.SDP, "203.0.113.7 49160 typ relay") || !strings.HasSuffix(offer.SDP, "a=end-of-candidates\r\n") {
		t.Errorf("the offer came as\n%s", offer.SDP)
	}
	if c := a.until(signal.Candidate).Candidate.Candidate; !strings.Contains(c, "typ relay") || strings.Contains(c, "192.0.2.1") {
		t.Errorf("the first candidate that came is %q", c)
	}
	if c := a.until(signal.Candidate).Candidate.Candidate; c != "" {
		t.Errorf("the second candidate that came is %q", c)
	}
}
