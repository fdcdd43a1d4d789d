package turnserver

import "time"

const (
	// gatherTime is how long datagrams wait for company.
	gatherTime = 200 * time.Microsecond
	// gatherWindow is how long is measured before it is decided anew.
	gatherWindow = 10 * time.Millisecond
	// gatherRest is how long nothing is gathered after it was of no use.
	gatherRest = 20 * gatherWindow
	// gatherRate is how many datagrams a window takes for gathering to be tried.
	gatherRate = 30
	// gatherYield is how many datagrams a wait must bring on average: to wait takes about
	// as many calls as to receive so many one by one.
	gatherYield = 4
)

// gatherer decides whether what has come is to wait for company: at rates at which
// datagrams come one by one, but many within gatherTime. Times are of the caller's clock.
type gatherer struct {
	on           bool
	since, rests time.Duration // when the window began, and when gathering may be tried again
	came         int           // datagrams in the window
	waits, yield int           // how often they were waited for, and what that has brought
}

// took counts n datagrams that were received, after a wait or not.
func (g *gatherer) took(n int, waited bool, now time.Duration) {
	g.came += n
	if waited {
		g.waits++
		g.yield += n
	}
	passed := now - g.since
	if passed < gatherWindow {
		return
	}
	enough := int64(g.came)*int64(gatherWindow) >= gatherRate*int64(passed)
	switch {
	case g.on && g.yield < g.waits*gatherYield:
		g.on, g.rests = false, now+gatherRest
	case !enough:
		g.on = false
	default:
		g.on = now >= g.rests
	}
	g.since, g.came, g.waits, g.yield = now, 0, 0, 0
}
