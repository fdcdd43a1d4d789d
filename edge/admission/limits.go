package admission

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"
)

const (
	// sessionBurst and sessionRate bound the session requests and the signaling
	// WebSockets that one source address (a /64 for IPv6) may open, two for each
	// session: many viewers can share an address behind a NAT, so the burst is
	// large.
	sessionBurst = 1000
	sessionRate  = 50 // a second
	// maxSources bounds the memory of a limiter or ban list.
	maxSources = 1 << 16
)

// sourceLimiter is a token bucket for each source address. It forgets the source
// that it has not seen for longest.
type sourceLimiter struct {
	mu      sync.Mutex
	buckets *simplelru.LRU[netip.Addr, *rate.Limiter]
}

// allow takes one token; where there is none, wait is the time until there is.
func (l *sourceLimiter) allow(source netip.Addr, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.buckets == nil {
		l.buckets, _ = simplelru.NewLRU[netip.Addr, *rate.Limiter](maxSources, nil) // errs for a size below 1
	}
	bucket, ok := l.buckets.Get(source)
	if !ok {
		bucket = rate.NewLimiter(sessionRate, sessionBurst)
		l.buckets.Add(source, bucket)
	}
	r := bucket.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return wait, false
	}
	return 0, true
}
