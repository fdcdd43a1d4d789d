// Package uplink shares out what a server can send in a second, and knows how scarce that
// is. Segments wait for each other, so that what is small goes out at once: manifests,
// sessions, signaling and statements.
//
//	uplink.go   Uplink: how long a segment waits, and whether that is too long
//	body.go     Body: the segment body of one answer
//	queue.go    whose bytes go out next
package uplink

import (
	"math"
	"sync"
	"time"
)

const (
	// segments is the share of the capacity that segment bodies get. The rest is for what
	// is small, and for the headers of packets.
	segments = 0.9
	// scarceAfter is the wait from which the origin is scarce, and scarceFor how long it
	// is so after the last such wait.
	scarceAfter = 250 * time.Millisecond
	scarceFor   = 10 * time.Second
	// tooLong is the wait that is too much, if it lasts for lasting.
	tooLong = 4 * time.Second
	lasting = 2 * time.Second
	// joining is the time within which a viewer that has come asks for its first segment.
	joining = time.Second
)

// Uplink is what a server sends by. Its zero value is ready; it is safe for concurrent use.
type Uplink struct {
	mu    sync.Mutex
	queue queue

	left        int64   // bytes that the bodies of now have still to send
	usual       float64 // bytes of a body
	joins       float64 // viewers that have just come, fading
	joinsAt     time.Time
	scarceUntil time.Time
	longSince   time.Time // zero while the wait is not too long
}

// Join notes that a viewer has come, who soon asks for a segment.
func (u *Uplink) Join(capacity int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.setCapacity(capacity)
	now := time.Now()
	u.fade(now)
	u.joins++
	u.look(now)
}

// Spend notes bytes that the server sends and that are of no Body, such as those of a relay.
func (u *Uplink) Spend(bytes int64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.queue.spend(bytes, time.Now())
}

// Wait returns how long a segment that is asked for now waits; 0 if the origin is not scarce,
// or if its capacity is unknown.
func (u *Uplink) Wait() time.Duration {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	u.fade(now)
	u.look(now)
	if !now.Before(u.scarceUntil) {
		return 0
	}
	return max(time.Millisecond, u.wait(u.expected()))
}

// Overloaded returns how long segments wait, and since when that has been too long, for a
// while at least: peers do not carry what the server lacks. since is zero if it is not.
func (u *Uplink) Overloaded() (wait time.Duration, since time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	now := time.Now()
	u.look(now)
	if !u.longSince.IsZero() && now.Sub(u.longSince) >= lasting {
		since = u.longSince
	}
	return u.wait(float64(u.left)), since
}

func (u *Uplink) setCapacity(capacity int64) {
	if capacity > 0 {
		u.queue.rate = segments * float64(capacity)
	}
}

// wait is how long the server takes for so many bytes.
func (u *Uplink) wait(bytes float64) time.Duration {
	if u.queue.rate <= 0 {
		return 0
	}
	return time.Duration(min(bytes/u.queue.rate, 3600) * float64(time.Second))
}

// expected is what is to be sent of bodies, those included that viewers who have just come
// will ask for.
func (u *Uplink) expected() float64 { return float64(u.left) + u.joins*u.usual }

// fade lets viewers that came be such that have asked.
func (u *Uplink) fade(now time.Time) {
	u.joins *= math.Exp(-now.Sub(u.joinsAt).Seconds() / joining.Seconds())
	u.joinsAt = now
}

// look notes whether the origin is scarce, or overloaded. The two segments that one viewer
// asks for at once make it neither.
func (u *Uplink) look(now time.Time) {
	if u.wait(u.expected()-2*u.usual) > scarceAfter {
		u.scarceUntil = now.Add(scarceFor)
	}
	if u.wait(float64(u.left)) < tooLong {
		u.longSince = time.Time{}
	} else if u.longSince.IsZero() {
		u.longSince = now
	}
}
