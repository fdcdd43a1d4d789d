package uplink

import (
	"context"
	"time"
)

// Body is the body of one answer with bytes of a segment. It belongs to one goroutine.
type Body struct {
	uplink  *Uplink
	turn    turn
	granted int64 // since it took its turn
	left    int64 // bytes that are counted in uplink.left
}

// Begin begins a body of size bytes, -1 if that is unknown, of a server that sends capacity
// bytes a second. One of a stranger waits for all that are not. End must be called.
func (u *Uplink) Begin(capacity, size int64, stranger bool) *Body {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.setCapacity(capacity)
	now := time.Now()
	if size < 0 {
		size = int64(u.usual)
	}
	c := whole
	switch {
	case stranger:
		c = last
	case size <= shortest:
		c = short
	}
	if s := float64(size); s > 0 { // by bytes: there are many init sections, and they are short
		u.usual += (s - u.usual) * s / (s + 8*u.usual)
	}
	u.left += size
	u.fade(now)
	u.look(now)
	return &Body{uplink: u, turn: u.queue.next(c), left: size}
}

// Take waits until up to want bytes of the body may be sent, and returns how many. stand is
// called if it has to wait, before it does. The error is that of ctx.
func (b *Body) Take(ctx context.Context, want int64, stand func()) (int64, error) {
	u := b.uplink
	u.mu.Lock()
	defer u.mu.Unlock()
	n, err := u.queue.take(ctx, &u.mu, b.turn, want, stand)
	if b.granted += n; b.granted >= again {
		b.granted, b.turn = 0, u.queue.next(b.turn.class)
	}
	sent := min(n, b.left)
	b.left -= sent
	u.left -= sent
	return n, err
}

// End ends the body, sent or not.
func (b *Body) End() {
	u := b.uplink
	u.mu.Lock()
	defer u.mu.Unlock()
	u.left -= b.left
	b.left = 0
	u.look(time.Now())
}
