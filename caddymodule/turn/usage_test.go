package turn

import (
	"fmt"
	"testing"
	"time"
)

// TestUsageReports: what is relayed is reported for the group that the user is in
// now, once as the first; users that nobody has named belong to none.
func TestUsageReports(t *testing.T) {
	var got []string
	u := NewUsage(func(group string, up, down int64, first bool) {
		got = append(got, fmt.Sprint(group, up, down, first))
	})
	now := time.Now()
	u.expect("a", "one", now, now.Add(time.Minute))
	u.used("a", 1, 2)
	u.used("stranger", 9, 9)
	u.expect("a", "two", now, now.Add(time.Minute))
	u.used("a", 3, 4)
	if want := "[one1 2 true two3 4 false]"; fmt.Sprint(got) != want {
		t.Errorf("reports %v, want %v", got, want)
	}
}

// TestUsageForgets: users whose credentials expired long ago make room.
func TestUsageForgets(t *testing.T) {
	reported := map[string]bool{}
	u := NewUsage(func(group string, _, _ int64, _ bool) { reported[group] = true })
	now := time.Now()
	for i := range 10 * minSweep {
		now = now.Add(time.Second)
		u.expect(fmt.Sprint(i), fmt.Sprint(i), now, now.Add(time.Minute))
	}
	if n := len(u.users); n > 2*int((usageGrace+time.Minute)/time.Second) {
		t.Errorf("%d users are remembered", n)
	}
	last := fmt.Sprint(10*minSweep - 1)
	u.used(last, 1, 1)
	u.used("0", 1, 1)
	if !reported[last] || reported["0"] {
		t.Errorf("reported %v, want the last user and not the first", reported)
	}
}
