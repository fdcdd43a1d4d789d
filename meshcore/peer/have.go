package peer

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// haves is what neighbors are still to be told of.
type haves struct {
	haveQueue []*segment
	haveAt    time.Duration // when to send them
	haveSent  time.Duration // when the last were sent
}

// queueHave has neighbors told of what is new of s: at once if the last time is
// long enough ago, else together with what comes until then. That there is a segment
// which none of them has is told soonest: it spares them the way to the origin.
func (e *Engine) queueHave(now time.Duration, s *segment) {
	if !e.upload || !s.proven || s.shut || s.Private || s.queued {
		return
	}
	s.queued = true
	e.haveQueue = append(e.haveQueue, s)
	every := minHaveInterval
	if s.told != 0 || s.copies > 0 {
		every = min(max(s.slack/haveFraction, minHaveInterval), maxHaveInterval)
	}
	e.haveAt = min(e.haveAt, max(now+settle, e.haveSent+every))
}

// flushHaves tells each neighbor of the queued segments, unless it has all that
// we have of them.
func (e *Engine) flushHaves(now time.Duration) {
	e.haveAt = never
	e.haveSent = now
	if len(e.haveQueue) == 0 {
		return
	}
	haves := make([]wire.SegmentHave, len(e.haveQueue))
	for i, s := range e.haveQueue {
		haves[i] = wire.SegmentHave{Segment: s.ID, Chunks: uint8(s.chunks), Mask: s.have, Root: s.root}
		s.told = s.have
	}
	for _, n := range e.slots {
		if n == nil || !n.up {
			continue
		}
		for _, s := range e.haveQueue {
			if s.have&^s.theirs[n.slot] != 0 {
				e.send(n, wire.Message{Type: wire.Have, Haves: haves})
				break
			}
		}
	}
	for _, s := range e.haveQueue {
		s.queued = false
	}
	e.haveQueue = e.haveQueue[:0]
}

// sendAllHaves tells a neighbor of all that may be shared.
func (e *Engine) sendAllHaves(n *neighbor) {
	var haves []wire.SegmentHave
	for _, s := range e.list {
		if s.have != 0 && s.proven && !s.shut && !s.Private {
			haves = append(haves, wire.SegmentHave{Segment: s.ID, Chunks: uint8(s.chunks), Mask: s.have, Root: s.root})
			s.told |= s.have
		}
	}
	for len(haves) > 0 {
		k := min(len(haves), wire.MaxHaves)
		e.send(n, wire.Message{Type: wire.Have, Haves: haves[:k]})
		haves = haves[k:]
	}
}

// forgetHaves takes nothing more from a neighbor.
func (e *Engine) forgetHaves(now time.Duration, n *neighbor) {
	for _, s := range e.list {
		s.setTheirs(n.slot, 0)
	}
	e.forgetPending(n)
	e.dirty(now)
}
