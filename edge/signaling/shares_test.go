package signaling

import "testing"

// TestShares: one network takes its share of a site's connections and no more, when half of
// them are open.
func TestShares(t *testing.T) {
	c := counts[string]{}
	open := 0
	for range 2000 {
		if !c.full("crowd", open, 1000, networkShare) {
			c.add("crowd", 1)
			open++
		}
	}
	if open != 500 {
		t.Errorf("one network opened %d of 1,000", open)
	}
	for n := range 4 {
		network := string(rune('a' + n))
		for range 200 {
			if !c.full(network, open, 1000, networkShare) {
				c.add(network, 1)
				open++
			}
		}
		if c[network] != 125 {
			t.Errorf("network %s opened %d", network, c[network])
		}
	}
	c.add("a", -125)
	if _, ok := c["a"]; ok || c.full("a", open, 1000, networkShare) {
		t.Error("a network that is gone is counted")
	}
}
