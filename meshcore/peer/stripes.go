package peer

import (
	"math/bits"
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Where the edge says that its origin cannot serve all who ask (Manifest.Wait), or a
// crowd sees that its fetches crawl, each half of what it has begun to send is
// worth nothing to anybody. So who sees its fetch crawl while others are there ends it,
// takes what they have, and of what none of them has a stripe: a run of chunks from a
// place of its own, announced as it comes, so that each byte leaves the origin about once.

const (
	slowAfter   = 500 * time.Millisecond  // from when a fetch runs until it may be found to be slow,
	slowRest    = time.Second             // that the rest of a fetch takes of one that is not,
	stripes     = 8                       // that a segment is divided into, at most
	asideFor    = time.Minute             // that a peer does not cooperate whom cooperation has let wait
	asideWait   = 1500 * time.Millisecond // that a chunk waits at an origin at which it is no use to step aside
	hangAfter   = 4 * time.Second         // that a fetch has begun another may begin
	recovery    = 20 * time.Second        // from when the origin was last far behind, in which turns are longer
	stripeGrace = 2 * time.Second         // that the player waits, after which the origin is asked for what neighbors have
)

// cooperates reports that the origin is scarce and that there are neighbors, of which we
// know what they have.
func cooperates(e *Engine, now time.Duration) bool {
	return e.scarce(now) && !aside(e, now) && e.connected() > 0 && now >= e.upAt+hearing/4
}

// waitForPeers is until when a peer that has just come waits for its neighbors with s,
// because the edge says that the origin is scarce; 0 if it does not.
func waitForPeers(e *Engine, now time.Duration, s *segment) time.Duration {
	if e.originWait == 0 || aside(e, now) || s.Private || e.swarmSize == 1 || cooperates(e, now) {
		return 0
	}
	if e.connected() > 0 {
		return e.upAt + hearing/4
	}
	return e.startedAt + joinPatience
}

// aside reports that this peer does not cooperate. Where the origin is far behind everybody
// does: what all ask for at once nobody gets.
func aside(e *Engine, now time.Duration) bool { return now < e.asideUntil && e.originWait < asideWait }

// stepAside ends cooperation for a while: what neighbors have does not
// come, so this peer plays as without it.
func stepAside(e *Engine, now time.Duration) {
	if e.originWait >= asideWait {
		return
	}
	e.asideUntil = now + asideFor
	e.dirty(now)
}

// covered is what neighbors have of s.
func covered(e *Engine, s *segment) uint64 {
	var mask uint64
	for set := e.giving & s.owners; set != 0; set &= set - 1 {
		mask |= s.theirs[bits.TrailingZeros64(set)]
	}
	return mask
}

// takenFor is how long what neighbors take is waited for, in the origin's queue too.
func takenFor(e *Engine) time.Duration {
	return max(comingFor, e.originTime(e.usual/stripes)) + e.originWait
}

// crawls reports that the fetch of s, as it goes, would take long yet.
func crawls(e *Engine, now time.Duration, s *segment) bool {
	took := now - s.fetchedAt
	if took < slowAfter {
		return false
	}
	if s.fetched == 0 {
		return took > slowAfter+2*e.originDelay
	}
	rest := s.bytes(s.origin)
	return time.Duration(float64(rest)/float64(s.fetched)*float64(took)) > slowRest
}

// endSlowFetch cancels a fetch of s that others can spare us any of, or that is better taken in
// stripes, and returns when to look again.
func endSlowFetch(e *Engine, now time.Duration, s *segment) time.Duration {
	if s.fetching == 0 || s.Private || !e.crowded() || s.proven && !s.fetchedWhole && !cooperates(e, now) {
		return never
	}
	if !crawls(e, now, s) && !(cooperates(e, now) && s.fetchedWhole && s.proven) {
		return max(s.fetchedAt+slowAfter, now+slowAfter/4)
	}
	e.scarceUntil = now + scarceFor
	if !cooperates(e, now) {
		return now + slowAfter/2
	}
	switch {
	case !s.proven && (s.copies == 0 || peersLate(e, now, s)):
	case s.proven && s.origin&covered(e, s) == 0 && !(s.fetchedWhole && e.swarmSize > 2 && 2*s.bytes(s.origin) > s.Size):
	default:
		cancelFetch(e, s)
	}
	return now + slowAfter/2
}

// cancelFetch ends all fetches of s.
func cancelFetch(e *Engine, s *segment) {
	e.fetches -= s.fetching
	e.under = slices.DeleteFunc(e.under, func(x *segment) bool { return x == s })
	s.cancelled += s.fetching
	s.fetching, s.origin = 0, 0
	e.emit(Effect{Kind: CancelOrigin, Segment: s.ID})
}

// planStripe takes a stripe of s from a scarce origin if it is time to, and returns when
// to look again.
func planStripe(e *Engine, now time.Duration, s *segment) time.Duration {
	late := peersLate(e, now, s)
	stripe, at := turn(e, now, s)
	if now < at && !late {
		return at
	}
	again := now + slowAfter/2
	if s.fetching > 0 || fetchesOne(e, now) {
		return again
	}
	if s.chunks == 0 || !s.proven {
		if s.copies == 0 || late {
			e.fetch(now, s, 0)
		}
		return again
	}
	missing := s.missing()
	uncovered := missing &^ covered(e, s)
	mask := uncovered & stripe &^ s.takenNow(now, takenFor(e))
	if mask != 0 {
		e.fetch(now, s, mask)
		return never
	}
	if late && (uncovered == 0 || waited(e, now) > 3*stripeGrace) {
		stepAside(e, now)
	}
	return again
}

// fetchesOne reports that a fetch is under way that does not hang.
func fetchesOne(e *Engine, now time.Duration) bool {
	for _, s := range e.under {
		if now-s.fetchedAt < hangAfter+3*e.originWait {
			return true
		}
	}
	return false
}

// turn returns the stripe of s that this peer is to take, and from when. The ranks take
// turns, so many at a time as there are stripes, until nothing is missing; each time in
// the order of the rotation of the segment.
func turn(e *Engine, now time.Duration, s *segment) (stripe uint64, at time.Duration) {
	from := max(s.published(e), e.startedAt)
	if !e.live {
		from = s.due - e.cfg.OriginGoal
	}
	if e.duty == nil || s.Sequence < 0 {
		return stripeOf(s, int(e.chance(s)%stripes), stripes), max(from, now) + hearing
	}
	size := s.Size
	if s.proven {
		size = s.layout.Size
	}
	unit := max(slowAfter, 2*e.originTime(size/stripes), s.slack/10, 2*e.originWait)
	if e.farAt > 0 && now-e.farAt < recovery { // all lack the same
		unit *= 2
	}
	d, n := e.duty.Distance(s.Sequence), min(stripes, e.duty.Of)
	turns := time.Duration((e.duty.Of + n - 1) / n)
	slot := max(0, now-from) / unit
	wait := (time.Duration(d/n) - slot%turns + turns) % turns
	at = from + (slot+wait)*unit
	share := max(1, e.duty.Fetchers)
	return stripeOf(s, (d+int(slot+wait))%n*share+int(e.chance(s)%uint64(share)), n*share), at
}

// published is about when a live segment came to be, so that all count its turns from the
// same moment.
func (s *segment) published(e *Engine) time.Duration {
	if s.fresh || e.newest == nil {
		return s.known
	}
	return e.newest.known - (e.newest.Start - s.Start)
}

// stripeOf is the mask of stripe i of n.
func stripeOf(s *segment, i, n int) uint64 {
	if s.chunks == 0 {
		return 0
	}
	n = min(n, s.chunks)
	i %= n
	from, to := i*s.chunks/n, (i+1)*s.chunks/n
	return wire.All(to) &^ wire.All(from)
}

// peersLate reports that what neighbors have of s will not come from them in time.
func peersLate(e *Engine, now time.Duration, s *segment) bool {
	if e.duty == nil {
		return waited(e, now) > stripeGrace || s.due-now < min(urgent(e, s), s.slack/3)
	}
	return waited(e, now) > 3*stripeGrace
}

// waited is for how long the player, which does not play, has waited with neighbors there,
// and with an origin that is not far behind: neighbors are not late with what nobody has.
func waited(e *Engine, now time.Duration) time.Duration {
	if e.playing {
		return 0
	}
	return now - max(e.playAt, e.upAt, e.farAt)
}

// cancelObsolete cancels slow fetches of what the playhead has passed, or left behind.
func cancelObsolete(e *Engine, now time.Duration) {
	pos := e.playhead(now)
	for i := len(e.under) - 1; i >= 0; i-- {
		if s := e.under[i]; now-s.fetchedAt >= slowAfter && s.known != 0 && s.Duration > 0 && s.Start+s.Duration <= pos && s.needBy == never {
			cancelFetch(e, s)
		}
	}
}
