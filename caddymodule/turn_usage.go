package caddymodule

import (
	"sync"
	"time"
)

const (
	// usageGrace is how long the relay may still speak of a viewer whose
	// credentials are over: an allocation that was refreshed last under them, and
	// the report of what it relayed.
	usageGrace = 15 * time.Minute
	// leastLedger is the number of users from which the ledger looks for those it
	// can forget.
	leastLedger = 1024
)

// relayLedger knows in which swarm each user of the relay is. It is told where
// credentials are made, as the relay knows users only by name.
type relayLedger struct {
	mu      sync.Mutex
	users   map[string]*relayUser
	sweepAt int
}

// relayUser is a peer that may use the relay.
type relayUser struct {
	swarm   string
	until   time.Time // end of its credentials
	carried bool      // the relay has carried something for it, and its swarm knows
}

// expect is told that user may relay for swarm until its credentials end.
func (l *relayLedger) expect(user, swarm string, now, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u := l.users[user]; u != nil {
		u.swarm, u.until = swarm, until
		return
	}
	if l.users == nil {
		l.users = map[string]*relayUser{}
	}
	if len(l.users) >= max(l.sweepAt, leastLedger) {
		for name, u := range l.users {
			if now.After(u.until.Add(usageGrace)) {
				delete(l.users, name)
			}
		}
		l.sweepAt = 2 * len(l.users)
	}
	l.users[user] = &relayUser{swarm: swarm, until: until}
}

// swarmOf gives the swarm of a user, or none for one that no session made, such
// as one of a shared secret.
func (l *relayLedger) swarmOf(user string) (id string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.users[user]
	if u == nil {
		return "", false
	}
	return u.swarm, true
}

// first says whether the relay has carried nothing for user before.
func (l *relayLedger) first(user string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.users[user]
	if u == nil || u.carried {
		return false
	}
	u.carried = true
	return true
}

// relayUsed is turnserver's OnUsage: payload bytes of a user since the last call.
func (rt *runtime) relayUsed(user string, up, down int64) {
	id, ok := rt.ledger.swarmOf(user)
	if !ok {
		return
	}
	rt.mu.Lock()
	s := rt.swarms[id]
	rt.mu.Unlock()
	if s == nil { // the viewer never came to signal
		return
	}
	s.relayUp.Add(up)
	s.relayDown.Add(down)
	if rt.ledger.first(user) {
		s.relayPeers.Add(1)
	}
}
