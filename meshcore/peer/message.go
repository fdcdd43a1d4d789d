package peer

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// onMessage takes one message of a neighbor whose channel is open.
func (e *Engine) onMessage(now time.Duration, n *neighbor, m *wire.Message) {
	e.heard(now, n)
	switch {
	case m.Type == wire.Bye:
		if m.Reason == wire.ByeFull || m.Reason == wire.ByePass || m.Reason == wire.ByeSlow {
			e.backoffs.add(now, n.id, false)
		}
		e.release(now, n)
		e.emit(Effect{Kind: Disconnect, Peer: n.id})
		e.lookForPeers(now)
		return
	case m.Type == wire.Hello:
		e.onHello(now, n, m)
		return
	case !n.greeted:
		if m.Type != wire.Ping && m.Type != wire.Pong {
			e.fault(now, n)
			return
		}
	}
	switch m.Type {
	case wire.Ping:
		e.send(n, wire.Message{Type: wire.Pong, Nonce: m.Nonce})
	case wire.Pong:
		if n.pingAt != 0 {
			n.rtt = max(now-n.pingAt, time.Millisecond)
			n.pingAt = 0
		}
	case wire.Status:
		n.noUpload, n.number = n.mute || m.Flags&wire.FlagNoUpload != 0, m.Rendition
		e.noteGiving(n)
		if n.noUpload {
			e.forgetHaves(now, n)
		}
	case wire.Have:
		e.onHave(now, n, m.Haves)
	case wire.Request:
		e.onRequest(now, n, m)
	case wire.Cancel:
		e.unqueue(func(it *item) bool {
			return it.n == n && it.seg.ID == m.Segment && m.Mask>>it.index&1 == 1
		})
	case wire.Reject:
		e.onReject(now, n, m)
	case wire.Proof:
		e.onProofMessage(now, n, m)
	case wire.Chunk:
		e.onChunk(now, n, m)
	}
}

// heard notes a message of a neighbor. One that was silent may be asked again.
func (e *Engine) heard(now time.Duration, n *neighbor) {
	if n.heardAt = now; n.strikes >= maxStrikes {
		n.strikes, n.busyUntil = 0, now
		e.dirty(now)
	}
}

func (e *Engine) onHave(now time.Duration, n *neighbor, haves []wire.SegmentHave) {
	if n.noUpload {
		return
	}
	room := -1 // for segments that no manifest has listed, once it is needed
	for i := range haves {
		h := &haves[i]
		s := e.lookup(h.Segment)
		if h.Chunks == 0 && h.Mask != 0 {
			if s != nil {
				e.takes(now, s, h.Mask)
			}
			continue
		}
		if s == nil && h.Mask == 0 && h.Chunks != 0 {
			continue
		}
		if s == nil {
			if room < 0 {
				room = maxUnknown - e.unknownOf(n)
			}
			if room <= 0 {
				continue
			}
			room--
			s = e.entry(h.Segment)
		}
		if h.Mask == 0 {
			e.hasNothing(now, n, s, h.Chunks == 0)
			continue
		}
		if h.Chunks != 0 {
			if s.chunks == 0 {
				s.setChunks(int(h.Chunks))
				s.root = h.Root
			} else if s.chunks != int(h.Chunks) || !same(s.root, h.Root) {
				e.dispute(now, n, s, h)
				continue
			}
		}
		s.setTheirs(n.slot, h.Mask)
		if s.sought() && !s.whole && h.Mask&^s.have != 0 {
			e.dirty(now)
		}
	}
}

// unknownOf is how many segments a neighbor has, or takes, that no manifest has listed here.
func (e *Engine) unknownOf(n *neighbor) (count int) {
	for _, s := range e.list {
		if s.known == 0 && (s.theirs[n.slot] != 0 || s.coming != 0 && s.comingOf == n.slot) {
			count++
		}
	}
	return count
}

// hasNothing notes that a neighbor has nothing of a segment. The first that takes it
// from the origin is waited for; what others say of that is not heard, lest a neighbor
// that never gives have us wait.
func (e *Engine) hasNothing(now time.Duration, n *neighbor, s *segment, takesIt bool) {
	s.setTheirs(n.slot, 0)
	if takesIt && s.coming == 0 {
		s.coming, s.comingOf = now+comingFor, n.slot
	}
}

// takes notes that a neighbor takes a stripe of a segment from the origin.
func (e *Engine) takes(now time.Duration, s *segment, mask uint64) {
	s.takenNow(now, takenFor(e))
	s.taken |= mask
}

// dispute notes a have of other bytes under the same name. Which are right the
// proof will say, and which are newer the proof of the other; until then both are kept.
func (e *Engine) dispute(now time.Duration, n *neighbor, s *segment, h *wire.SegmentHave) {
	s.setTheirs(n.slot, 0)
	if s.proven && h.Root == 0 {
		return
	}
	c := claim{slot: n.slot, chunks: int(h.Chunks), mask: h.Mask, root: h.Root}
	if i := slices.IndexFunc(s.disputed, func(o claim) bool { return o.slot == c.slot }); i >= 0 {
		c.asked = s.disputed[i].asked && s.disputed[i].root == c.root
		s.disputed = slices.Delete(s.disputed, i, i+1)
	}
	s.disputed = append(s.disputed, c)
	askDisputed(e, now, s)
}

// onReject takes back what a neighbor will not give. Chunks that it announced
// and does not have count as misses.
func (e *Engine) onReject(now time.Duration, n *neighbor, m *wire.Message) {
	s := e.lookup(m.Segment)
	if s == nil || e.takePending(n, s, m.Mask) == 0 {
		return
	}
	switch m.Reason {
	case wire.RejectBusy:
		n.busyUntil = now + max(50*time.Millisecond, min(time.Duration(m.Retry)*time.Millisecond<<n.busies, 2*time.Second))
		e.share.busy++
		n.busies = min(n.busies+1, maxBusies)
	case wire.RejectMissing:
		// What it took back in the meantime is no miss.
		if s.theirs[n.slot]&m.Mask != 0 {
			n.misses++
		}
		s.setTheirs(n.slot, 0)
		if n.misses >= maxMisses {
			e.dropSlow(now, n)
		}
	default:
		s.setTheirs(n.slot, 0)
	}
	e.dirty(now)
}

// takePending removes the chunks of a mask from what is asked of n and
// returns those that were.
func (e *Engine) takePending(n *neighbor, s *segment, mask uint64) (found uint64) {
	kept := n.pending[:0]
	for _, p := range n.pending {
		if p.seg == s && mask>>p.index&1 == 1 {
			found |= 1 << p.index
			n.pendingBytes -= p.bytes
			s.asked &^= 1 << p.index
		} else {
			kept = append(kept, p)
		}
	}
	n.pending = kept
	return found
}

// withdrawSegment cancels all that is asked of neighbors of a segment.
func (e *Engine) withdrawSegment(s *segment) {
	for _, n := range e.slots {
		if n == nil || s.asked == 0 {
			continue
		}
		if mask := e.takePending(n, s, ^uint64(0)); mask != 0 {
			e.send(n, wire.Message{Type: wire.Cancel, Segment: s.ID, Mask: mask})
		}
	}
}

func (e *Engine) onProofMessage(now time.Duration, n *neighbor, m *wire.Message) {
	s := e.lookup(m.Segment)
	if s == nil || s.proofFrom != n.slot {
		return
	}
	e.emit(Effect{Kind: CheckProof, Peer: n.id, Segment: s.ID, Message: *m})
}

func (e *Engine) onProof(now time.Duration, in *Input) {
	s := e.lookup(in.Segment)
	if s == nil {
		return
	}
	n := e.neighbor(in.Peer)
	if n != nil && !in.OK {
		e.complain(n.id, s.ID, "proof", nil)
		e.fault(now, n)
		return
	}
	if in.OK {
		s.proofFrom = -1
		e.prove(now, s, in)
		askDisputed(e, now, s)
	}
}

// prove takes the layout of a segment and has what was held checked.
func (e *Engine) prove(now time.Duration, s *segment, in *Input) {
	if s.proven && !supersede(e, s, in) {
		return
	}
	if n := in.Layout.Chunks(); s.chunks != n || !same(s.root, in.Root) {
		for _, nb := range e.slots {
			if nb != nil {
				e.takePending(nb, s, ^uint64(0))
			}
		}
		s.owners = 0
		clear(s.theirs)
		clear(s.requested) // what still comes is of other bytes
		for _, c := range s.disputed {
			if c.chunks == n && same(c.root, in.Root) {
				s.setTheirs(c.slot, c.mask)
			}
		}
		s.setChunks(n)
		s.asked, s.checking, s.held = 0, 0, nil
	}
	s.disputed = slices.DeleteFunc(s.disputed, func(c claim) bool { return same(c.root, in.Root) })
	s.root, s.issued = in.Root, in.Issued
	e.usual = in.Layout.Size
	s.proven, s.layout, s.Size, s.proofFrom = true, in.Layout, in.Layout.Size, -1
	if s.fetching > 0 { // of all of it, because the layout was not known
		s.origin = s.all &^ s.have
		if cooperates(e, now) {
			e.planAt = now // only a stripe of it is ours
		}
	}
	held := s.held
	s.held = nil
	for _, h := range held {
		if n := e.slots[h.slot]; n != nil {
			e.emit(Effect{Kind: CheckChunk, Peer: n.id, Segment: s.ID, Chunk: h.index, Data: h.data, Signature: h.signature})
		} else {
			s.checking &^= 1 << h.index
		}
	}
	e.dirty(now)
}

// mayHold reports whether so many bytes more of a neighbor may be kept that nothing proves
// yet.
func (e *Engine) mayHold(n *neighbor, bytes int64) bool {
	all, of := bytes, bytes
	for _, s := range e.list {
		for i := range s.held {
			h := &s.held[i]
			all += int64(len(h.data))
			if h.slot == n.slot {
				of += int64(len(h.data))
			}
		}
	}
	return of <= maxHeldOf && all <= maxHeld
}

// onChunk takes a chunk that was asked for, or was and is still missing: a cancel
// may have crossed it. Others are ignored.
func (e *Engine) onChunk(now time.Duration, n *neighbor, m *wire.Message) {
	s := e.lookup(m.Segment)
	if s == nil || m.Index >= 64 {
		return
	}
	bit := uint64(1) << m.Index
	bytes := int64(m.Total)
	var asked time.Duration
	found := false
	for i := range n.pending {
		if p := &n.pending[i]; p.seg == s && p.index == m.Index {
			asked, found = p.at, true
			break
		}
	}
	switch {
	case found:
		e.takePending(n, s, bit)
		dt := max(now-max(n.lastAt, asked), time.Millisecond)
		sample := float64(bytes) / dt.Seconds()
		n.rate += float64(0.3 * (min(sample, 8*n.rate) - n.rate))
		n.lastAt, n.hoped = now, 0
		n.strikes, n.misses, n.busies = 0, 0, 0
	case s.requested[n.slot]&bit == 0 || !s.sought():
		e.report.DuplicateBytes += bytes
		return
	case s.asked&bit != 0: // late, but before the one that was asked instead
		for _, o := range e.slots {
			if o != nil && e.takePending(o, s, bit) != 0 {
				e.send(o, wire.Message{Type: wire.Cancel, Segment: s.ID, Mask: bit})
			}
		}
	}
	if s.have&bit != 0 || s.checking&bit != 0 || s.whole || !s.proven && !e.mayHold(n, bytes) {
		e.report.DuplicateBytes += bytes
		e.dirty(now)
		return
	}
	s.checking |= bit
	if s.proven {
		e.emit(Effect{Kind: CheckChunk, Peer: n.id, Segment: s.ID, Chunk: m.Index, Data: m.Data, Signature: m.Signature})
	} else {
		s.held = append(s.held, heldChunk{n.slot, m.Index, m.Data, m.Signature})
	}
	e.dirty(now)
}

func (e *Engine) onChunkChecked(now time.Duration, in *Input) {
	s := e.lookup(in.Segment)
	n := e.neighbor(in.Peer)
	bit := uint64(1) << in.Chunk
	if !in.OK && !in.Former {
		e.report.BadChunks++
		e.complain(in.Peer, in.Segment, "digest", in.Evidence)
		if n != nil {
			e.fault(now, n)
		}
	}
	if s == nil || s.checking&bit == 0 {
		return
	}
	s.checking &^= bit
	if !in.OK {
		if in.Former {
			e.report.DuplicateBytes += s.bytes(bit)
			if n != nil {
				s.setTheirs(n.slot, 0)
			}
		}
		e.dirty(now)
		return
	}
	if s.have&bit != 0 {
		e.report.DuplicateBytes += s.bytes(bit)
		return
	}
	bytes := s.bytes(bit)
	e.report.PeerBytes += bytes
	if n != nil {
		n.gaveUs += bytes
		n.gaveRecent += bytes
		e.backoffs.reached(n.id)
		if n.relayed {
			e.report.RelayedBytes += bytes
		}
	}
	e.gain(now, s, bit)
}

// gain notes chunks that are verified and stored.
func (e *Engine) gain(now time.Duration, s *segment, mask uint64) {
	mask &^= s.have
	if mask == 0 {
		return
	}
	s.have |= mask
	s.origin &^= mask
	if !s.whole {
		e.stored += s.bytes(mask)
	}
	e.queueHave(now, s)
	if s.have == s.all && !s.whole {
		s.whole = true
		e.complete(now, s)
	}
	e.dirty(now)
}

// complete ends what is still under way for a segment.
func (e *Engine) complete(now time.Duration, s *segment) {
	e.unneed(s)
	e.withdrawSegment(s)
	e.emit(Effect{Kind: Complete, Segment: s.ID})
}

// complain tells the edge of a peer that lied.
func (e *Engine) complain(id wire.PeerID, seg wire.SegmentID, reason string, evidence *signal.Evidence) {
	e.emit(Effect{Kind: Signal, Signal: &signal.Message{Type: signal.Complain, Peer: &id, Segment: &seg, Reason: reason, Evidence: evidence}})
}
