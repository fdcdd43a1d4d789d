package tracker

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// What can be true of a report.
const (
	// fastest is the most that a viewer takes or gives over time, in bytes a second: 100
	// Mbit/s. slack is what may come at once beside that.
	fastest = 12.5e6
	slack   = 16 << 20
	// underWay is what peers got and those who gave it have not reported yet.
	underWay = 1 << 20
	// waited is the time that may be reported beside that of the session: what passed
	// before it was opened.
	waited = 10 * time.Minute
)

// accounts are what a session has reported.
type accounts struct {
	totals   signal.Report
	base     *signal.Report // what it reported before it joined, or first if that cannot be checked; nil for nothing
	since    time.Duration  // when it joined
	reported bool
	unproven bool // something of it is left out
	lied     bool // all of it is
}

// report takes running totals. One that goes down is a fault of the peer and keeps what was
// there, so that sums never go down. What no viewer takes, gives or plays in the time is
// left out: all of a session that says so, or what it says first, because it may have come
// back from another edge.
func (a *accounts) report(now time.Duration, r *signal.Report) {
	first := !a.reported
	a.reported = true
	if !a.possible(now, r) {
		a.unproven = true
		if first {
			base := *r
			a.base = &base
		} else {
			a.lied = true
		}
	}
	t, b := &a.totals, a.first()
	grow := func(have *int64, v, base int64) { *have = max(*have, v-base) }
	grow(&t.PeerBytes, r.PeerBytes, b.PeerBytes)
	grow(&t.OriginBytes, r.OriginBytes, b.OriginBytes)
	grow(&t.RelayedBytes, r.RelayedBytes, b.RelayedBytes)
	grow(&t.UploadedBytes, r.UploadedBytes, b.UploadedBytes)
	grow(&t.DuplicateBytes, r.DuplicateBytes, b.DuplicateBytes)
	grow(&t.BadChunks, r.BadChunks, b.BadChunks)
	grow(&t.StartupMS, r.StartupMS, b.StartupMS)
	grow(&t.Stalls, r.Stalls, b.Stalls)
	grow(&t.StallMS, r.StallMS, b.StallMS)
	grow(&t.PlayedMS, r.PlayedMS, b.PlayedMS)
	if t.RelayedBytes > t.PeerBytes { // they are part of them
		t.RelayedBytes = t.PeerBytes
		a.unproven = true
	}
}

var nothing signal.Report

// first is what of the running totals does not count.
func (a *accounts) first() *signal.Report {
	if a.base == nil {
		return &nothing
	}
	return a.base
}

// said is all that the session has reported, also before it joined; nil for nothing.
func (a *accounts) said() *signal.Report {
	if !a.reported {
		return a.base
	}
	all := *a.first()
	all.Add(&a.totals)
	return &all
}

// possible reports whether a report can be true of the time since the session was opened.
func (a *accounts) possible(now time.Duration, r *signal.Report) bool {
	bytes := slack + int64(float64(fastest*(now-a.since).Seconds()))
	time := (now - a.since + waited).Milliseconds()
	b := a.first()
	return max(r.PeerBytes-b.PeerBytes, r.OriginBytes-b.OriginBytes, r.UploadedBytes-b.UploadedBytes) <= bytes &&
		max(r.RelayedBytes-b.RelayedBytes, r.DuplicateBytes-b.DuplicateBytes, r.BadChunks-b.BadChunks) <= bytes &&
		max(r.PlayedMS-b.PlayedMS, r.StallMS-b.StallMS, r.StartupMS-b.StartupMS, r.Stalls-b.Stalls) <= time
}

// add adds a session to the sums, as far as it can be true.
func (a *accounts) add(sum *signal.Report) (unproven int) {
	if !a.lied {
		sum.Add(&a.totals)
	}
	if a.unproven {
		return 1
	}
	return 0
}

// excess is what a session says that it got from peers beyond what others say that they
// gave; given is what all say, itself included.
func (a *accounts) excess(given int64) int64 {
	if a.lied {
		return 0
	}
	return max(0, a.totals.PeerBytes-max(0, given-a.totals.UploadedBytes)-underWay)
}
