package caddymodule

import (
	"net/netip"
	"sync"
	"time"
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
	// banTime is how long an address is refused after a peer of it was banned.
	banTime = 10 * time.Minute
)

// sourceLimiter is a token bucket for each source address, in the form of a
// theoretical arrival time (the GCRA of ITU-T I.371).
type sourceLimiter struct {
	mu   sync.Mutex
	next map[netip.Addr]time.Time
}

// allow takes one token; where there is none, wait says when there will be.
func (l *sourceLimiter) allow(source netip.Addr, now time.Time) (wait time.Duration, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.next == nil || len(l.next) >= maxSources {
		l.forget(now)
	}
	const step = time.Second / sessionRate
	t := l.next[source]
	if t.Before(now) {
		t = now
	}
	if wait := t.Sub(now) - (sessionBurst-1)*step; wait > 0 {
		return wait, false
	}
	l.next[source] = t.Add(step)
	return 0, true
}

// forget drops who has a full bucket again; if that frees nothing, everybody.
func (l *sourceLimiter) forget(now time.Time) {
	kept := map[netip.Addr]time.Time{}
	for a, t := range l.next {
		if t.After(now) {
			kept[a] = t
		}
	}
	if len(kept) >= maxSources {
		clear(kept)
	}
	l.next = kept
}

// banList holds source addresses that are refused for a while.
type banList struct {
	mu    sync.Mutex
	until map[netip.Addr]time.Time
}

func (b *banList) add(source netip.Addr, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until == nil {
		b.until = map[netip.Addr]time.Time{}
	}
	for a, t := range b.until {
		if len(b.until) < maxSources {
			break
		}
		if !t.After(now) || len(b.until) >= maxSources {
			delete(b.until, a)
		}
	}
	b.until[source] = now.Add(banTime)
}

func (b *banList) has(source netip.Addr, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, ok := b.until[source]
	if ok && !t.After(now) {
		delete(b.until, source)
		ok = false
	}
	return ok
}
