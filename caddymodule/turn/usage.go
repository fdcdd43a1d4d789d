package turn

import (
	"sync"
	"time"
)

const (
	// usageGrace is how long the relay may still report on a user whose credentials
	// have expired: on an allocation that was refreshed last under them.
	usageGrace = 15 * time.Minute
	// minSweep is the number of users from which Usage looks for those it can forget.
	minSweep = 1024
)

// Usage knows to which group each user of the relay belongs, and reports what the
// relay carries to whoever counts by group. ICEServers adds users to it, as the
// relay knows them only by name.
type Usage struct {
	report  Report
	mu      sync.Mutex
	users   map[string]*user
	sweepAt int
}

// Report takes the bytes of payload, up from the members of a group and down to
// them, since the last call; first is true the first time that the relay carries
// anything for a member. It is called from the relay's goroutines and does not wait.
type Report func(group string, up, down int64, first bool)

// user is somebody who may use the relay.
type user struct {
	group   string
	until   time.Time // end of its credentials
	carried bool      // the relay has carried something for it
}

// NewUsage returns an empty Usage that reports to r.
func NewUsage(r Report) *Usage { return &Usage{report: r, users: map[string]*user{}} }

// expect notes that the user name may relay for group until its credentials end.
func (u *Usage) expect(name, group string, now, until time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if known := u.users[name]; known != nil {
		known.group, known.until = group, until
		return
	}
	if len(u.users) >= max(u.sweepAt, minSweep) {
		for name, old := range u.users {
			if now.After(old.until.Add(usageGrace)) {
				delete(u.users, name)
			}
		}
		u.sweepAt = 2 * len(u.users)
	}
	u.users[name] = &user{group: group, until: until}
}

// used is turnserver's OnUsage. Users whom ICEServers has not named, such as those
// of a shared secret, belong to no group.
func (u *Usage) used(name string, up, down int64) {
	u.mu.Lock()
	known := u.users[name]
	if known == nil {
		u.mu.Unlock()
		return
	}
	group, first := known.group, !known.carried
	known.carried = true
	u.mu.Unlock()
	u.report(group, up, down, first)
}
