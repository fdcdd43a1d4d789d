package store

import "context"

// Reader reads a segment in order, as it comes: all of one version. It is for one
// goroutine.
type Reader struct {
	g        *Segment
	begun    int64
	at       int64
	versions versions // as they were at the last byte read
}

// Reader begins to read at an offset.
func (g *Segment) Reader(offset int64) *Reader {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &Reader{g, offset, offset, g.versions}
}

// Next waits until there are bytes where the reader is and gives them, or nil at the end
// of the segment. They must not be changed. The error is that of ctx, or wraps ErrGone,
// ErrStopped or ErrChanged.
func (r *Reader) Next(ctx context.Context) ([]byte, error) {
	g := r.g
	for {
		g.mu.Lock()
		next, changed := g.from(r.at), g.changed
		whole, gone, stopped, now := g.whole, g.gone, g.stopped, g.versions
		g.mu.Unlock()
		if r.at > r.begun && now.apart(r.versions, r.at) {
			return nil, ErrChanged
		}
		switch {
		case next != nil:
			r.versions = now
			return next, nil
		case whole:
			return nil, nil
		case gone:
			return nil, ErrGone
		case stopped != nil:
			return nil, stopped
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Advance moves the reader on by n bytes.
func (r *Reader) Advance(n int) { r.at += int64(n) }
