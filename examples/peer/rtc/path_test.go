package rtc

import "testing"

// TestSignaledType: a candidate that a check found before signaling named it is what
// signaling says, a relay above all, and what nobody names stays prflx.
func TestSignaledType(t *testing.T) {
	named := signaled{}
	for _, c := range []string{
		"candidate:1 1 udp 2130706431 192.168.1.10 5000 typ host generation 0",
		"candidate:2 1 UDP 1694498815 203.0.113.9 5000 typ srflx raddr 0.0.0.0 rport 0",
		"candidate:3 1 udp 16777215 2001:db8::7 50001 typ relay raddr :: rport 0",
		"candidate:4 1 udp 1 8d1e.local 5000 typ host",
		"candidate:5 1 udp", "",
	} {
		named.note(c)
	}
	for _, c := range []struct {
		address string
		port    uint16
		found   string
		want    string
	}{
		{"192.168.1.10", 5000, "prflx", "host"},
		{"192.168.1.10", 5001, "prflx", "prflx"},
		{"203.0.113.9", 5000, "prflx", "srflx"},
		{"2001:db8:0::7", 50001, "prflx", "relay"},
		{"203.0.113.9", 5000, "host", "host"},
		{"8d1e.local", 5000, "prflx", "prflx"},
	} {
		if got := named.typeOf(c.address, c.port, c.found); got != c.want {
			t.Errorf("%s:%d, found as %s: %s, want %s", c.address, c.port, c.found, got, c.want)
		}
	}
}
