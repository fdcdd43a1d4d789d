package peer

import (
	"math/bits"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// uplink is what the engine gives to neighbors.
type uplink struct {
	upload     bool
	uploadRate float64 // bytes/s, measured
	queue      []item
	queueBytes int64
	measured   bool          // uploadRate is no guess any more
	inFlight   int64         // bytes handed to the driver and not sent
	sentAt     time.Duration // when the last chunk had left
	paceAt     time.Duration // when the upload limit lets the next chunk go
}

// item is one chunk that a neighbor asked for and that waits for the uplink.
type item struct {
	n     *neighbor
	seg   *segment
	index uint8
	due   time.Duration // when it is of no use to the neighbor any more, 0 if its player waits for it
	bytes int64
}

// onRequest queues the chunks that a neighbor asks for, as far as we have them
// and the uplink will take them in time, and rejects the rest at once, so that it
// can ask another.
func (e *Engine) onRequest(now time.Duration, n *neighbor, m *wire.Message) {
	s := e.lookup(m.Segment)
	reject := func(mask uint64, reason uint8, retry time.Duration) {
		if mask != 0 {
			e.send(n, wire.Message{Type: wire.Reject, Segment: m.Segment, Mask: mask, Reason: reason, Retry: uint32(retry.Milliseconds())})
		}
	}
	if !n.up || !e.upload {
		reject(m.Mask, wire.RejectDenied, 0)
		return
	}
	if s == nil || !s.proven || s.shut || s.Private {
		reject(m.Mask, wire.RejectMissing, 0)
		return
	}
	mask := m.Mask & s.have
	if !same(m.Root, s.root) {
		mask = 0
	}
	reject(m.Mask&^mask, wire.RejectMissing, 0)
	if m.Flags&wire.FlagProof != 0 {
		e.emit(Effect{Kind: SendProof, Peer: n.id, Segment: s.ID})
	}
	due := time.Duration(0)
	if m.Within > 0 {
		due = now + time.Duration(m.Within)*time.Millisecond
	}
	limit := max(int64(e.uploadRate*maxQueue.Seconds()), 4*s.chunkBytes())
	for mask != 0 {
		c := bits.TrailingZeros64(mask)
		bit := uint64(1) << c
		it := item{n: n, seg: s, index: uint8(c), due: due, bytes: s.bytes(bit)}
		if e.queueBytes+e.inFlight >= limit && !e.giveWay(now, &it) {
			wait := time.Duration(float64(e.queueBytes+e.inFlight) / e.uploadRate * float64(time.Second))
			reject(mask, wire.RejectBusy, wait/2)
			return
		}
		mask &^= bit
		if e.queuedFor(n, s, uint8(c)) {
			continue
		}
		e.queue = append(e.queue, it)
		e.queueBytes += it.bytes
	}
}

// giveWay rejects, where the origin is scarce, the chunk whose turn comes last, if that of
// another comes sooner; it reports whether it does.
func (e *Engine) giveWay(now time.Duration, it *item) bool {
	if !e.scarce(now) || len(e.queue) == 0 {
		return false
	}
	turns, last := e.turns(now), 0
	for i := 1; i < len(e.queue); i++ {
		if turns.sooner(&e.queue[last], &e.queue[i]) {
			last = i
		}
	}
	if !turns.sooner(it, &e.queue[last]) {
		return false
	}
	x := e.queue[last]
	e.queue = slices.Delete(e.queue, last, last+1)
	e.queueBytes -= x.bytes
	e.send(x.n, wire.Message{Type: wire.Reject, Segment: x.seg.ID, Mask: 1 << x.index, Reason: wire.RejectBusy, Retry: lateRetry})
	return true
}

func (e *Engine) queuedFor(n *neighbor, s *segment, index uint8) bool {
	for i := range e.queue {
		if it := &e.queue[i]; it.n == n && it.seg == s && it.index == index {
			return true
		}
	}
	return false
}

// turns is the order in which the uplink is given, one chunk after another.
type turns struct {
	by     time.Duration // what is due by then comes first
	short  bool          // those who give come before those who only take
	scarce bool          // the origin is scarce
}

func (e *Engine) turns(now time.Duration) turns {
	t := turns{short: float64(e.queueBytes) > e.uploadRate/2, scarce: e.scarce(now)}
	if e.crowded() {
		t.by = now + pressing
	}
	return t
}

// sooner reports that a comes before b: what is due by a time; when the uplink is short,
// what those want who give; then chunks that were given less often, so that each new chunk
// has its second home soon; then the earlier deadline. Where the origin is scarce the
// deadline counts more than any home but the second, and of those who wait the one
// that came first: many who have half a segment each play nothing.
func (t *turns) sooner(a, b *item) bool {
	if pa, pb := a.due < t.by, b.due < t.by; pa != pb {
		return pa
	}
	if t.short {
		if fa, fb := a.n.onlyTakes(), b.n.onlyTakes(); fa != fb {
			return fb
		}
	}
	ga, gb := a.seg.given[a.index], b.seg.given[b.index]
	if t.scarce {
		ga, gb = min(ga, 1), min(gb, 1)
	}
	if ga != gb {
		return ga < gb
	}
	if t.scarce && a.due == b.due {
		return a.n.since < b.n.since
	}
	return a.due < b.due
}

// onlyTakes says whether a neighbor takes much and gives nothing.
func (n *neighbor) onlyTakes() bool { return n.tookFromUs > 4<<20 && n.gaveUs < n.tookFromUs/32 }

// lateRetry is how long a neighbor does not ask again whose chunk would have come too late, in ms.
const lateRetry = 200

// dropLate rejects what would come too late: its neighbor takes it from elsewhere.
func (e *Engine) dropLate(now time.Duration) {
	e.unqueue(func(it *item) bool {
		late := it.due != 0 && now+time.Duration(float64(e.inFlight+it.bytes)/e.uploadRate*float64(time.Second)) > it.due
		if late {
			e.send(it.n, wire.Message{Type: wire.Reject, Segment: it.seg.ID, Mask: 1 << it.index, Reason: wire.RejectBusy, Retry: lateRetry})
		}
		return late
	})
}

// serve hands the next chunks to the driver, as long as the window is open.
func (e *Engine) serve(now time.Duration) {
	e.dropLate(now)
	for len(e.queue) > 0 && e.inFlight < e.window() && now >= e.paceAt && !e.overRatio() {
		turns, best := e.turns(now), 0
		for i := 1; i < len(e.queue); i++ {
			if turns.sooner(&e.queue[i], &e.queue[best]) {
				best = i
			}
		}
		it := e.queue[best]
		e.queue = append(e.queue[:best], e.queue[best+1:]...)
		e.queueBytes -= it.bytes
		if it.seg.given[it.index] < 255 {
			it.seg.given[it.index]++
		}
		if e.inFlight == 0 {
			e.sentAt = now
		}
		e.inFlight += it.bytes
		it.n.sending = append(it.n.sending, it.bytes)
		it.n.tookFromUs += it.bytes
		it.n.tookRecent += it.bytes
		e.report.UploadedBytes += it.bytes
		if limit := e.limit(now); limit > 0 {
			e.paceAt = max(e.paceAt, now-100*time.Millisecond) + time.Duration(float64(it.bytes)/limit*float64(time.Second))
		}
		e.emit(Effect{Kind: SendChunk, Peer: it.n.id, Segment: it.seg.ID, Chunk: it.index})
	}
}

// limit is the most that is given, in bytes a second, 0 for no limit: what the
// configuration says, and half the uplink while our own player waits, whose requests and
// acknowledgments go the same way. Where the origin is scarce all wait, for what others
// give: there is no such limit.
func (e *Engine) limit(now time.Duration) float64 {
	limit := e.cfg.UploadRate
	if half := e.uploadRate / 2; e.waits && !e.scarce(now) && (limit == 0 || half < limit) {
		limit = half
	}
	return limit
}

// window is how many bytes the driver may have and not have sent: no more than leave
// soon, because what we ask of others waits behind them, and one chunk at a time until it
// is known how fast that is.
func (e *Engine) window() int64 {
	if !e.measured {
		return 1
	}
	return max(1, min(int64(e.uploadRate/4), uploadWindow))
}

// overRatio says whether the upload ratio forbids another chunk.
func (e *Engine) overRatio() bool {
	return e.cfg.UploadRatio > 0 &&
		float64(e.report.UploadedBytes) > float64(e.cfg.UploadRatio*float64(e.report.PeerBytes+e.report.OriginBytes))+4<<20
}

// onSent learns the uplink's rate from a chunk that has left.
func (e *Engine) onSent(now time.Duration, in *Input) {
	n := e.neighbor(in.Peer)
	if n == nil {
		return // what it had was taken back when it went
	}
	e.inFlight -= n.left(in.Bytes)
	if dt := now - e.sentAt; dt > 0 && in.Bytes > 0 {
		weight := 0.2
		if !e.measured {
			e.measured, weight = true, 0.5
		}
		e.uploadRate += float64(weight * (float64(in.Bytes)/max(dt, time.Millisecond).Seconds() - e.uploadRate))
	}
	e.sentAt = now
}

// left takes out of what the driver has for a neighbor the chunk that has left, and
// returns its bytes. One that could not be sent comes back at once, with no bytes: it is
// the newest.
func (n *neighbor) left(bytes int64) int64 {
	i := len(n.sending) - 1
	if bytes > 0 {
		i = max(slices.Index(n.sending, bytes), min(i, 0))
	}
	if i < 0 {
		return 0
	}
	bytes = n.sending[i]
	n.sending = slices.Delete(n.sending, i, i+1)
	return bytes
}

// unqueue takes out of the queue what gone says.
func (e *Engine) unqueue(gone func(*item) bool) {
	kept := e.queue[:0]
	for i := range e.queue {
		if gone(&e.queue[i]) {
			e.queueBytes -= e.queue[i].bytes
		} else {
			kept = append(kept, e.queue[i])
		}
	}
	e.queue = kept
}

// setUpload switches giving on or off.
func (e *Engine) setUpload(now time.Duration, on bool) {
	on = on && !e.cfg.ReceiveOnly
	if on == e.upload {
		return
	}
	e.upload = on
	if !on {
		e.unqueue(func(it *item) bool {
			e.send(it.n, wire.Message{Type: wire.Reject, Segment: it.seg.ID, Mask: 1 << it.index, Reason: wire.RejectDenied})
			return true
		})
	}
	for _, n := range e.slots {
		if n != nil && n.up {
			e.send(n, wire.Message{Type: wire.Status, Flags: e.flags(), Rendition: e.number})
			if on {
				e.sendAllHaves(n)
			}
		}
	}
	e.announceAt = now
}

func (e *Engine) flags() uint8 {
	if e.upload {
		return 0
	}
	return wire.FlagNoUpload
}
