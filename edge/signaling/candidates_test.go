package signaling

import (
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestCandidates: private addresses, mDNS names and TCP reach peers of one place alone;
// metadata addresses and other names reach nobody.
func TestCandidates(t *testing.T) {
	const typ = " 5000 typ host"
	for _, c := range []struct {
		candidate    string
		near, others bool
	}{
		{"", true, true},
		{"candidate:1 1 udp 1 203.0.113.7" + typ, true, true},
		{"candidate:1 1 UDP 1 2001:db8:ffff::7" + typ, true, true},
		{"candidate:1 1 udp 1 203.0.113.7 5000 typ relay raddr 10.0.0.1 rport 9", true, true},
		{"candidate:1 1 udp 1 192.168.1.1" + typ, true, false},
		{"candidate:1 1 udp 1 10.0.0.1" + typ, true, false},
		{"candidate:1 1 udp 1 10.0.0.1 5000 typ relay", true, false},
		{"candidate:1 1 udp 1 10.0.0.1 5000 typ srflx", true, false},
		{"candidate:1 1 udp 1 100.64.0.1" + typ, true, false},
		{"candidate:1 1 udp 1 127.0.0.1" + typ, true, false},
		{"candidate:1 1 udp 1 ::1" + typ, true, false},
		{"candidate:1 1 udp 1 0.0.0.0" + typ, true, false},
		{"candidate:1 1 udp 1 fe80::1" + typ, true, false},
		{"candidate:1 1 udp 1 fd00::1" + typ, true, false},
		{"candidate:1 1 udp 1 ::ffff:10.0.0.1" + typ, true, false},
		{"candidate:1 1 udp 1 64:ff9b::a00:1" + typ, true, false},
		{"candidate:1 1 udp 1 224.0.0.1" + typ, true, false},
		{"candidate:1 1 udp 1 8e2fabcd-12aa-4bcd-8e2f-1234567890ab.local" + typ, true, false},
		{"candidate:1 1 tcp 1 203.0.113.7 9 typ host tcptype active", true, false},
		{"candidate:1 1 udp 1 169.254.169.254" + typ, false, false},
		{"candidate:1 1 udp 1 ::ffff:169.254.169.254" + typ, false, false},
		{"candidate:1 1 udp 1 fd00:ec2::254" + typ, false, false},
		{"candidate:1 1 udp 1 router.local" + typ, false, false},
		{"candidate:1 1 udp 1 victim.example" + typ, false, false},
		{"candidate:1 1 udp 1 2130706433" + typ, false, false},
		{"nonsense", false, false},
	} {
		for near, want := range map[bool]bool{true: c.near, false: c.others} {
			m := between(&signal.Message{Type: signal.Candidate, Candidate: &signal.ICECandidate{Candidate: c.candidate}}, near)
			if (m != nil) != want {
				t.Errorf("%q, near %v: %+v", c.candidate, near, m)
			}
			if m != nil && !near && strings.Contains(m.Candidate.Candidate, "10.0.0.1") {
				t.Errorf("%q names a private address", m.Candidate.Candidate)
			}
			sdp := "v=0\r\nc=IN IP4 10.0.0.1\r\na=" + c.candidate + "\r\na=rtcp:9 IN IP4 10.0.0.1\r\n"
			if c.candidate == "" || c.candidate == "nonsense" {
				continue
			}
			out := between(&signal.Message{Type: signal.Offer, SDP: sdp}, near).SDP
			if strings.Contains(out, "a=candidate:") != want || !near && strings.Contains(out, "10.0.0.1") {
				t.Errorf("%q, near %v, as SDP: %q", c.candidate, near, out)
			}
		}
	}
}

// TestHiddenCandidates: a candidate does not get by in another spelling of its line or of
// its fields, one of which some parser reads.
func TestHiddenCandidates(t *testing.T) {
	const public, private, metadata = "1 1 udp 1 203.0.113.7 9 typ host", "2 1 udp 1 10.0.0.1 9 typ host", "2 1 udp 1 169.254.169.254 9 typ host"
	tabs := func(s string) string { return strings.ReplaceAll(s, " ", "\t") }
	for _, secret := range []string{private, metadata} {
		near := secret == metadata
		for _, sdp := range []string{
			"v=0\ra=candidate:" + secret + "\r", "v=0\r\na=x\ra=candidate:" + secret + "\n", "v=0\n a=candidate:" + secret,
			"v=0\nA=Candidate:" + secret, "v=0\na=candidate: " + secret, "v=0\na=candidate:" + tabs(public) + " " + secret,
			"v=0\na=remote-candidates:1 10.0.0.1 9 2 169.254.169.254 9", "v=0\na=candidate:" + public + "\ra=candidate:" + secret,
		} {
			out := between(&signal.Message{Type: signal.Answer, SDP: sdp}, near).SDP
			for line := range strings.Lines(out) {
				if f := strings.Split(strings.TrimSpace(line), " "); len(f) > 4 && f[4] != "203.0.113.7" || strings.Contains(line, "remote-") || strings.Contains(line, "\t") {
					t.Errorf("near %v: %q leaves %q", near, sdp, out)
				}
			}
		}
		for _, c := range []string{
			"candidate:" + tabs(public) + " " + secret, "a=candidate:" + secret, "candidate:" + secret + "\n", "candidate:" + public + "\r\na=candidate:" + secret,
			"candidate: " + secret, "candidate:" + tabs(secret), "candidate:" + strings.ReplaceAll(secret, " ", "\u00a0"),
		} {
			m := between(&signal.Message{Type: signal.Candidate, Candidate: &signal.ICECandidate{Candidate: c}}, near)
			if m == nil {
				continue
			}
			if got := m.Candidate.Candidate; strings.ContainsAny(got, "\t\r\n\u00a0") || strings.Split(got, " ")[4] != "203.0.113.7" {
				t.Errorf("near %v: %q goes on as %q", near, c, got)
			}
		}
	}
	const lines = "v=0\r\no=- 1 2 IN IP4 10.0.0.1\r\nc=IN IP4 10.0.0.1\r\na=rtcp:9 IN IP4 10.0.0.1\r\n"
	if out := between(&signal.Message{Type: signal.Offer, SDP: lines}, false).SDP; strings.Contains(out, "10.0.0.1") {
		t.Errorf("%q leaves %q", lines, out)
	}
}
