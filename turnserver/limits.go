package turnserver

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
)

// bucket is a token bucket kept as the time at which it would be empty of debt (the
// generic cell rate algorithm), so that it is one atomic word. Times are
// nanoseconds of the server's clock.
type bucket struct{ due atomic.Int64 }

// take takes n units if no more than burst are taken beyond rate units per second.
func (b *bucket) take(now int64, n, rate, burst float64) bool {
	cost := int64(n / rate * 1e9)
	most := int64(burst / rate * 1e9)
	for {
		due := b.due.Load()
		next := max(due, now) + cost
		if next-now > most {
			return false
		}
		if b.due.CompareAndSwap(due, next) {
			return true
		}
	}
}

// takeBytes takes n bytes at rate bytes per second, with a burst of a second's
// worth and at least 64 KiB.
func (b *bucket) takeBytes(now, n, rate int64) bool {
	return b.take(now, float64(n), float64(rate), float64(rate+64<<10))
}

// sourceLimit bounds the answers to unauthenticated datagrams per source. It has a
// fixed number of buckets that sources are hashed to, so that a flood of invented
// addresses costs no memory.
type sourceLimit struct {
	seed    maphash.Seed
	buckets [1 << 15]bucket
}

func newSourceLimit() *sourceLimit { return &sourceLimit{seed: maphash.MakeSeed()} }

// take reports whether an answer may go to addr; rate answers per second may, with a
// burst of five seconds' worth.
func (l *sourceLimit) take(now int64, addr netip.Addr, rate int) bool {
	if rate < 0 {
		return true
	}
	i := maphash.Comparable(l.seed, sourceKey(addr)) % uint64(len(l.buckets))
	return l.buckets[i].take(now, 1, float64(rate), 5*float64(rate))
}

// sourceKey is what limits per source count by: the address, or the /64 of an IPv6 one.
func sourceKey(addr netip.Addr) netip.Addr {
	if addr.Is6() {
		if p, err := addr.Prefix(64); err == nil {
			return p.Addr()
		}
	}
	return addr
}
