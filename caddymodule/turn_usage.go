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
	swarm    string
	until    time.Time // end of its credentials
	up, down int64     // payload bytes relayed from and to it
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

// add counts bytes for user and gives its swarm; ok is false for a user that no
// session made, such as one of a shared secret.
func (l *relayLedger) add(user string, up, down int64) (swarm string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u := l.users[user]
	if u == nil {
		return "", false
	}
	u.up += up
	u.down += down
	return u.swarm, true
}

// of gives what user has relayed.
func (l *relayLedger) of(user string) (up, down int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if u := l.users[user]; u != nil {
		return u.up, u.down
	}
	return 0, 0
}

// relayUsed is turnserver's OnUsage: payload bytes of a user since the last call.
func (rt *runtime) relayUsed(user string, up, down int64) {
	id, ok := rt.ledger.add(user, up, down)
	if !ok {
		return
	}
	rt.mu.Lock()
	s := rt.swarms[id]
	rt.mu.Unlock()
	if s != nil { // not where the viewer never came to signal
		s.relayUp.Add(up)
		s.relayDown.Add(down)
	}
}
