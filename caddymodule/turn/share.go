package turn

import (
	"sync"
	"time"

	"github.com/viewmesh/viewmesh/turnserver"
)

const (
	// countEvery is how long a count of users is good.
	countEvery = time.Second
	// used is what an allocation has carried that is there for more than checks, in bytes.
	used = 64 << 10
)

// share is what is known of those who share the relay.
type share struct {
	mu    sync.Mutex
	users int // of an allocation that is used
	at    time.Time
}

// count counts the users of allocations, if that was not done just now.
func (s *share) count(allocations func() []turnserver.AllocationInfo) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.at) >= countEvery {
		users := map[string]bool{}
		for _, a := range allocations() {
			if a.Up+a.Down >= used {
				users[a.User] = true
			}
		}
		s.users, s.at = len(users), now
	}
	return s.users
}
