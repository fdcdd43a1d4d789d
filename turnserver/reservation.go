package turnserver

import (
	"net/netip"
	"sync"
	"time"
)

// reservationLifetime is how long the port above an even one is kept for the client
// that asked for it: RFC 8656, section 7.2.
const reservationLifetime = 30 * time.Second

// reservation is a relay socket that waits for its client to allocate it, with
// RESERVATION-TOKEN. It counts as an allocation of its user.
type reservation struct {
	user  *user
	sock  packetSocket
	addr  netip.AddrPort
	timer *time.Timer
}

type reservations struct {
	s  *core
	mu sync.Mutex
	by map[string]*reservation // by token
}

// put keeps r for whoever shows token.
func (rs *reservations) put(token string, r *reservation) {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	if rs.by == nil || rs.by[token] != nil { // the server is closed
		rs.drop(r)
		return
	}
	rs.by[token] = r
	r.timer = time.AfterFunc(rs.s.timeouts.reservation, func() {
		rs.mu.Lock()
		defer rs.mu.Unlock()
		if rs.by[token] == r {
			delete(rs.by, token)
			rs.drop(r)
		}
	})
}

// take returns what was reserved for the user under token, or nil.
func (rs *reservations) take(token, user string) *reservation {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	r := rs.by[token]
	if r == nil || r.user.name != user {
		return nil
	}
	delete(rs.by, token)
	r.timer.Stop()
	return r
}

// close gives everything back, for good.
func (rs *reservations) close() {
	rs.mu.Lock()
	defer rs.mu.Unlock()
	for _, r := range rs.by {
		r.timer.Stop()
		rs.drop(r)
	}
	rs.by = nil
}

func (rs *reservations) drop(r *reservation) {
	_ = r.sock.Close()
	rs.s.users.release(r.user, 1)
}
