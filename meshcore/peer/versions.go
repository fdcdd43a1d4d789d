package peer

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// A resource may change while peers have its bytes of before, of which the edge's
// statement is still valid. The statement that was issued last counts: what neighbors
// have of another one is not asked for, and when one shows a newer statement, ours and
// its bytes go. Roots tell them apart.

// same reports whether two roots may be of one statement; 0 is not known.
func same(a, b uint32) bool { return a == b || a == 0 || b == 0 }

// supersede gives up what is here of a segment if a newer statement about it has come,
// and reports whether it has. Of a segment whose bytes are for this player alone nothing
// is given to others anyway.
func supersede(e *Engine, s *segment, in *Input) bool {
	if same(in.Root, s.root) || in.Issued <= s.issued || s.shut {
		return false
	}
	for _, n := range e.slots {
		if n == nil {
			continue
		}
		if mask := e.takePending(n, s, ^uint64(0)); mask != 0 {
			e.send(n, wire.Message{Type: wire.Cancel, Segment: s.ID, Mask: mask})
		}
	}
	e.stored -= s.storedBytes()
	e.takeBack(s)
	s.have, s.whole, s.proven, s.given = 0, false, false, [64]uint8{}
	s.origin = 0
	return true
}

// askDisputed asks for the proof of what a neighbor has, if that is disputed, of each
// neighbor once and of one after the other.
func askDisputed(e *Engine, now time.Duration, s *segment) {
	i := slices.IndexFunc(s.disputed, func(c claim) bool { return !c.asked })
	if i < 0 || !s.sought() && !s.proven || s.proofFrom >= 0 && (!s.proven || now < s.proofBy) {
		return
	}
	s.disputed[i].asked = true
	n := e.slots[s.disputed[i].slot]
	e.send(n, wire.Message{Type: wire.Request, Segment: s.ID, Flags: wire.FlagProof})
	s.proofFrom, s.proofBy = n.slot, now+3*n.rtt+time.Second
	e.dirty(now)
}
