package admission

import (
	"net/netip"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"go.uber.org/zap"
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
	// logRefusals is the shortest time between two log lines about refusals.
	logRefusals = time.Minute
)

// sourceLimiter is a token bucket for each source address. It forgets the source
// that it has not seen for longest.
type sourceLimiter struct {
	mu      sync.Mutex
	buckets *simplelru.LRU[netip.Addr, *rate.Limiter]
}

// allow takes one token; where there is none, wait is the time until there is.
// sources is the number of addresses that are remembered.
func (l *sourceLimiter) allow(source netip.Addr, now time.Time) (wait time.Duration, sources int, ok bool) {
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
		return wait, l.buckets.Len(), false
	}
	return 0, l.buckets.Len(), true
}

// refusals counts the requests that a sourceLimiter refused, and has the log say so
// once in logRefusals.
type refusals struct {
	mu       sync.Mutex
	count    int64
	logged   int64 // of count
	logAfter time.Time
	unknown  sync.Once
}

func (r *refusals) total() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count
}

// add counts a refusal. sources is the number of addresses that requests came from.
func (r *refusals) add(log *zap.Logger, sources int, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count++
	if now.Before(r.logAfter) {
		return
	}
	fields := []zap.Field{zap.Int64("refused", r.count-r.logged), zap.Int("addresses", sources)}
	if sources == 1 {
		fields = append(fields, zap.String("hint",
			"all viewers come from one address: if that is a proxy or a CDN, name it in trusted_proxies, so that viewers are told apart"))
	}
	log.Warn("too many sessions from one address: viewers get 429 and play from the origin", fields...)
	r.logged, r.logAfter = r.count, now.Add(logRefusals)
}

// noAddress has the log say, once, that viewers cannot be told apart.
func (r *refusals) noAddress(log *zap.Logger) {
	r.unknown.Do(func() {
		log.Warn("requests come without a viewer's address, so no limit by address applies; if they come from a proxy over a unix socket, set trusted_proxies_unix")
	})
}
