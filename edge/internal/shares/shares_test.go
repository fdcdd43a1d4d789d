package shares

import "testing"

// TestShares: one network takes its share of a site's connections and no more, when half of
// them are open.
func TestShares(t *testing.T) {
	c := Counts[string]{}
	open := 0
	for range 2000 {
		if !c.Full("crowd", open, 1000, Network) {
			c.Add("crowd", 1)
			open++
		}
	}
	if open != 500 {
		t.Errorf("one network opened %d of 1,000", open)
	}
	for n := range 4 {
		network := string(rune('a' + n))
		for range 200 {
			if !c.Full(network, open, 1000, Network) {
				c.Add(network, 1)
				open++
			}
		}
		if c[network] != 125 {
			t.Errorf("network %s opened %d", network, c[network])
		}
	}
	c.Add("a", -125)
	if _, ok := c["a"]; ok || c.Full("a", open, 1000, Network) {
		t.Error("a network that is gone is counted")
	}
}
