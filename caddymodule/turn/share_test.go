package turn

import (
	"testing"

	"github.com/viewmesh/viewmesh/turnserver"
)

// TestShare: what one viewer may take over the relay is within what the operator allows one
// viewer and all, among those who use the relay by now.
func TestShare(t *testing.T) {
	for _, c := range []struct {
		user, total, want int64
	}{
		{0, 0, 0}, {2000, 0, 1000}, {0, 9000, 3000}, {2000, 9000, 1000}, {20_000, 9000, 3000}, {0, 1, 1},
	} {
		r := &Relay{opts: Options{TURN: &Config{UserBandwidth: c.user, TotalBandwidth: c.total}}, server: &server{}}
		r.share.count(func() []turnserver.AllocationInfo {
			return []turnserver.AllocationInfo{{User: "a", Up: used}, {User: "a", Down: used}, {User: "b", Up: used / 2, Down: used / 2}, {User: "idle", Up: 100}}
		})
		if got := r.Share(); got != c.want {
			t.Errorf("user_bandwidth %d, total_bandwidth %d: %d, want %d", c.user, c.total, got, c.want)
		}
	}
	if got := (&Relay{}).Share(); got != 0 {
		t.Errorf("without a relay: %d", got)
	}
}
