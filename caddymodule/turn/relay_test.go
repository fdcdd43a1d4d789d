package turn

import (
	"strings"
	"testing"
)

// TestDefaultSTUN: where nothing is said, a port that is in use is no error, and off is off.
func TestDefaultSTUN(t *testing.T) {
	for _, c := range []struct {
		opts     Options
		listen   string
		optional bool
	}{
		{Options{}, "udp/:3478", true},
		{Options{STUN: "off"}, "", false},
		{Options{STUN: "udp/127.0.0.1:0"}, "udp/127.0.0.1:0", false},
		{Options{TURN: &Config{}}, "udp/:3478 tcp/:3478", false},
		{Options{TURN: &Config{Listen: []string{"tls/:5349"}}}, "tls/:5349", false},
		{Options{STUN: "udp/:3478", TURN: &Config{}}, "udp/:3478 tcp/:3478", false},
		{Options{STUN: "udp/:3479", TURN: &Config{Listen: []string{"tls/:5349"}}}, "udp/:3479 tls/:5349", false},
	} {
		listen, optional := (&Relay{opts: c.opts}).listen()
		if got := strings.Join(listen, " "); got != c.listen || optional != c.optional {
			t.Errorf("STUN %q, TURN %+v: listens on %q, optional %v", c.opts.STUN, c.opts.TURN, got, optional)
		}
	}
}
