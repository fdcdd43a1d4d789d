package signaling

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// passed returns the SDP of an offer as it is passed on without being decoded; ok is false for one
// that has to be.
func passed(t *testing.T, sdp string, near, relayOnly bool) (out string, ok bool) {
	t.Helper()
	to := wire.PeerID(7)
	var p signal.Passed
	if !p.Read(signal.Encode(&signal.Message{Type: signal.Offer, To: &to, Connection: "c1", SDP: sdp})) {
		return "", false
	}
	frame := p.AppendFrom(nil, 9)
	frame = append(appendSDP(frame, p.SDP, near, relayOnly), `"}`...)
	var m signal.Message
	if err := json.Unmarshal(frame, &m); err != nil {
		t.Fatalf("%q becomes %s: %v", sdp, frame, err)
	}
	if m.Type != signal.Offer || *m.From != 9 || m.To != nil || m.Connection != "c1" {
		t.Fatalf("%q becomes %s", sdp, frame)
	}
	return m.SDP, true
}

// decoded returns what becomes of it when it is decoded.
func decoded(sdp string, near, relayOnly bool) string {
	m := signal.Message{Type: signal.Offer, SDP: sdp}
	if relayOnly {
		hideAddresses(&m)
	}
	return between(&m, near).SDP
}

var descriptions = []string{
	"v=0\r\no=- 1 2 IN IP4 192.168.1.5\r\nc=IN IP4 192.168.1.5\r\na=rtcp:9 IN IP4 192.168.1.5\r\n" +
		"a=candidate:1 1 udp 2113937151 192.168.1.5 50000 typ host\r\na=candidate:2 1 udp 1677729535 198.51.100.7 50000 typ srflx raddr 192.168.1.5 rport 50000\r\n" +
		"a=candidate:3 1 udp 41885439 203.0.113.9 3478 typ relay raddr 198.51.100.7 rport 50000\r\na=mid:0\r\n",
	"v=0\nA=CANDIDATE:1 1 udp 1 10.0.0.1 5 typ host\n  a=candidate:1 1 udp 1 10.0.0.1 5 typ host\n \n\n\ra=remote-candidates:1 10.0.0.1 5\r C=IN IP4 10.0.0.1",
	"a=candidate:1 1 udp 1 0f.local 5 typ host", "O=a b c d e f\n", "a=candidate:", "a=candidat", "", "\r\n", "a",
}

// TestPassedAsDecoded: an offer that is passed on as it stands names no more than one that is
// decoded, rewritten and encoded.
func TestPassedAsDecoded(t *testing.T) {
	for _, sdp := range descriptions[:6] {
		for _, near := range []bool{false, true} {
			for _, relayOnly := range []bool{false, true} {
				if got, ok := passed(t, sdp, near, relayOnly); !ok || got != decoded(sdp, near, relayOnly) {
					t.Errorf("near %v, relay only %v: %q becomes %q, want %q", near, relayOnly, sdp, got, decoded(sdp, near, relayOnly))
				}
			}
		}
	}
	for _, sdp := range []string{"a=candidate:\t1", "a=candid\u00e4te", `a="b"`, strings.Repeat("x", signal.MaxSDP+1)} {
		if _, ok := passed(t, sdp, false, false); ok {
			t.Errorf("%.40q is passed on without being decoded", sdp)
		}
	}
}

func FuzzPassedAsDecoded(f *testing.F) {
	for _, sdp := range descriptions {
		f.Add(sdp, false, false)
		f.Add(sdp, true, true)
	}
	f.Fuzz(func(t *testing.T, sdp string, near, relayOnly bool) {
		if got, ok := passed(t, sdp, near, relayOnly); ok && got != decoded(sdp, near, relayOnly) {
			t.Errorf("%q becomes %q, want %q", sdp, got, decoded(sdp, near, relayOnly))
		}
	})
}
