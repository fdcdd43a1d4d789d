package turnserver

import (
	"sync"
	"sync/atomic"
	"time"
)

// user is what one user has under way and has used. It outlives the user's
// allocations for as long as the credentials may make new ones, so that asking again
// does not renew a quota.
type user struct {
	name string
	rate bucket
	up   atomic.Int64 // payload bytes relayed
	down atomic.Int64

	// Guarded by users.mu.
	allocations            int
	keepUntil              time.Time
	reportedUp, reportedDn int64
}

func (u *user) used() int64 { return u.up.Load() + u.down.Load() }

// UserStats is what one user has relayed and holds.
type UserStats struct {
	Allocations int   // live now
	Up, Down    int64 // payload bytes relayed, from and to the client
}

type users struct {
	mu   sync.Mutex
	all  map[string]*user
	tell sync.Mutex // held while OnUsage is called, so that it is called once at a time
}

// acquire counts n more allocations for name, whose credentials are good until
// expires. ok is false where that would make more than max; max below 0 is no bound.
func (us *users) acquire(name string, expires time.Time, n, max int) (u *user, ok bool) {
	us.mu.Lock()
	defer us.mu.Unlock()
	u = us.all[name]
	if u == nil {
		u = &user{name: name}
		us.all[name] = u
	}
	if expires.After(u.keepUntil) {
		u.keepUntil = expires
	}
	if max >= 0 && u.allocations+n > max {
		return u, false
	}
	u.allocations += n
	return u, true
}

func (us *users) release(u *user, n int) {
	us.mu.Lock()
	u.allocations -= n
	us.mu.Unlock()
}

// get returns the user called name, or nil.
func (us *users) get(name string) *user {
	us.mu.Lock()
	defer us.mu.Unlock()
	return us.all[name]
}

// report calls f with what each user has relayed since the last report, and forgets
// users that hold nothing and whose credentials are over.
func (us *users) report(now time.Time, f func(name string, up, down int64)) {
	us.tell.Lock()
	defer us.tell.Unlock()
	type line struct {
		name     string
		up, down int64
	}
	var lines []line
	us.mu.Lock()
	for name, u := range us.all {
		up, down := u.up.Load(), u.down.Load()
		if up > u.reportedUp || down > u.reportedDn {
			lines = append(lines, line{name, up - u.reportedUp, down - u.reportedDn})
			u.reportedUp, u.reportedDn = up, down
		}
		if u.allocations == 0 && now.After(u.keepUntil) {
			delete(us.all, name)
		}
	}
	us.mu.Unlock()
	if f != nil {
		for _, l := range lines {
			f(l.name, l.up, l.down)
		}
	}
}

// stats returns what the user of the given name holds and has relayed.
func (us *users) stats(name string) (st UserStats, ok bool) {
	u := us.get(name)
	if u == nil {
		return UserStats{}, false
	}
	us.mu.Lock()
	defer us.mu.Unlock()
	return UserStats{Allocations: u.allocations, Up: u.up.Load(), Down: u.down.Load()}, true
}
