package signaling

import "github.com/viewmesh/viewmesh/edge/admission"

// Once half of the connections that a site allows are open, nobody takes all of the rest: a
// network (a /24 or a /48) may have one in networkShare, an account one in accountShare, and
// each leastShare.
const (
	networkShare = 8
	accountShare = 64
	leastShare   = 16
)

// shares counts connections by where they come from. The hub's lock guards it.
type shares struct {
	networks counts[string]
	accounts counts[admission.Viewer]
}

func newShares() shares { return shares{counts[string]{}, counts[admission.Viewer]{}} }

// counts is how many connections each has.
type counts[K comparable] map[K]int

func (c counts[K]) add(k K, n int) {
	if c[k] += n; c[k] <= 0 {
		delete(c, k)
	}
}

// full reports whether k has its share of most connections, of which some are open.
func (c counts[K]) full(k K, open, most, share int) bool {
	return 2*open >= most && c[k] >= max(most/share, leastShare)
}
