package admission

import (
	"sync"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

const (
	// maxEntitled bounds the memory of the sessions that are based on a viewer token.
	maxEntitled = 1 << 17
	// entitledFor is how long a session may last on a token that never expires.
	entitledFor = 24 * time.Hour
)

// entitlement is what a session is based on.
type entitlement struct {
	scope  []string  // path prefixes that the viewer token allows
	until  time.Time // when the token expires
	viewer Viewer    // whom it names
}

// everything is what a session is based on at a site without viewer tokens.
func everything(now time.Time) entitlement {
	return entitlement{scope: []string{"/"}, until: now.Add(entitledFor)}
}

// entitlements remembers what sessions are based on, by peer, for their renewal.
type entitlements struct {
	mu sync.Mutex
	of map[wire.PeerID]entitlement
}

// put remembers e; it returns false if there is no room.
func (m *entitlements) put(peer wire.PeerID, e entitlement, now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.of == nil {
		m.of = map[wire.PeerID]entitlement{}
	}
	if len(m.of) >= maxEntitled {
		for id, old := range m.of {
			if !now.Before(old.until) {
				delete(m.of, id)
			}
		}
	}
	if len(m.of) >= maxEntitled {
		return false
	}
	m.of[peer] = e
	return true
}

// get returns what the session of a peer is based on. ok is false if that is
// unknown or has ended.
func (m *entitlements) get(peer wire.PeerID, now time.Time) (e entitlement, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok = m.of[peer]; ok && !now.Before(e.until) {
		delete(m.of, peer)
		ok = false
	}
	return e, ok
}
