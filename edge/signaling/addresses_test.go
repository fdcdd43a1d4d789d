package signaling

import "testing"

func TestRelayCandidate(t *testing.T) {
	for _, c := range []struct {
		in, want string
		ok       bool
	}{
		{"", "", true},
		{"candidate:1 1 udp 2130706431 192.0.2.1 5000 typ host", "", false},
		{"candidate:1 1 udp 2130706431 8e2f.local 5000 typ host", "", false},
		{"candidate:2 1 udp 1 192.0.2.1 5000 typ srflx raddr 10.0.0.1 rport 5000", "", false},
		{"candidate:2 1 udp 1 192.0.2.1 5000 typ prflx raddr 10.0.0.1 rport 5000", "", false},
		{"candidate:3 1 udp 1 203.0.113.7 49160 typ relay raddr 192.0.2.1 rport 5000 generation 0",
			"candidate:3 1 udp 1 203.0.113.7 49160 typ relay raddr 0.0.0.0 rport 0 generation 0", true},
		{"candidate:3 1 udp 1 203.0.113.7 49160 TYP Relay RADDR 192.0.2.1", "candidate:3 1 udp 1 203.0.113.7 49160 TYP Relay RADDR 0.0.0.0", true},
		{"typ relay", "", false},
		{"candidate:1 1 udp 1 192.0.2.1 5000 typ host x relay", "", false},
	} {
		if got, ok := relayCandidate(c.in); got != c.want || ok != c.ok {
			t.Errorf("%q: %q %v", c.in, got, ok)
		}
	}
}
