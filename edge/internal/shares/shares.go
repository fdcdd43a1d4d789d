// Package shares keeps connections from being taken up by a few.
package shares

// Once half of the connections that a site allows are open, nobody takes all of the rest: a
// network (a /24 or a /48) may have one in Network, an account one in Account, and each least.
const (
	Network = 8
	Account = 64
	least   = 16
)

// Counts is how many connections each has. It is not safe for concurrent use.
type Counts[K comparable] map[K]int

// Add counts n more connections of k.
func (c Counts[K]) Add(k K, n int) {
	if c[k] += n; c[k] <= 0 {
		delete(c, k)
	}
}

// Full reports whether k has its share of most connections, of which some are open.
func (c Counts[K]) Full(k K, open, most, share int) bool {
	return 2*open >= most && c[k] >= max(most/share, least)
}
