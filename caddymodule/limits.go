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
	// banTime is how long a ban lasts.
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

// banList holds who is banned, for banTime.
type banList[K comparable] struct {
	mu    sync.Mutex
	until map[K]time.Time
}

func (b *banList[K]) add(who K, now time.Time) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until == nil {
		b.until = map[K]time.Time{}
	}
	for a, t := range b.until {
		if len(b.until) < maxSources {
			break
		}
		if !t.After(now) || len(b.until) >= maxSources {
			delete(b.until, a)
		}
	}
	b.until[who] = now.Add(banTime)
}

func (b *banList[K]) has(who K, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	t, ok := b.until[who]
	if ok && !t.After(now) {
		delete(b.until, who)
		ok = false
	}
	return ok
}
