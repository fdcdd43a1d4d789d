package admission

import (
	"net/netip"
	"sync"
	"time"
)

// banTime is how long a ban lasts.
const banTime = 10 * time.Minute

// bans holds those whose peers were banned.
//
// A viewer whom its token names is refused sessions and renewals. Of others only
// the address is known, behind which there may be a thousand households: the
// sessions that they have go on, and new ones from there may take and not give,
// because giving is how a peer does harm.
type bans struct {
	viewers banList[Viewer]
	sources banList[netip.Addr]
}

func (b *bans) add(viewer Viewer, source netip.Addr, now time.Time) {
	if viewer != (Viewer{}) {
		b.viewers.add(viewer, now)
		return
	}
	if source.IsValid() {
		b.sources.add(source, now)
	}
}

// refuses reports whether a viewer is refused sessions.
func (b *bans) refuses(viewer Viewer, now time.Time) bool {
	return viewer != (Viewer{}) && b.viewers.has(viewer, now)
}

// silences reports whether a viewer's new session may take and not give.
func (b *bans) silences(viewer Viewer, source netip.Addr, now time.Time) bool {
	return viewer == (Viewer{}) && b.sources.has(source, now)
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
