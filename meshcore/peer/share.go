package peer

import "github.com/viewmesh/viewmesh/meshcore/signal"

const (
	busyOften  = 10   // times between two reports that neighbors are busy whose uplinks are short
	shortShare = 0.25 // of what comes, from the origin, from which on they are
	earlyShare = 0.5  // of that is taken early
)

// share is how much of what comes is from the origin.
type share struct {
	lately        float64 // 0 to 1, fading
	origin, peers int64   // bytes when lately was noted
	busy          int     // times since then that a neighbor was busy
}

// note takes the bytes that came since the last report.
func (s *share) note(r *signal.Report) {
	own, all := r.OriginBytes-s.origin, r.OriginBytes-s.origin+r.PeerBytes-s.peers
	s.origin, s.peers = r.OriginBytes, r.PeerBytes
	if s.busy < busyOften {
		s.lately /= 2
	} else if all > 0 {
		s.lately += float64((float64(own)/float64(all) - s.lately) / 2)
	}
	s.busy = 0
}

// early is how many of a rotation take a live segment as soon as it is there. Where much
// comes from the origin anyway, because uplinks do not carry what all watch, that is
// more than its fetchers: what they take they have to give.
func (s *share) early(of int) float64 {
	if s.lately < shortShare {
		return 0
	}
	return earlyShare * s.lately * float64(of)
}
