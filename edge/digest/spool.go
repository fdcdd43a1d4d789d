package digest

import (
	"errors"
	"sync/atomic"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
)

const (
	// maxSpool is the largest body without Content-Length that is digested, in bytes.
	maxSpool = 8 << 20
	// maxSpools bounds the memory of all spools of one budget at once, in bytes.
	maxSpools = 64 << 20
)

// ErrTooLarge is returned for a body without Content-Length that is too large to
// be digested.
var ErrTooLarge = errors.New("body without Content-Length is too large to be digested")

// Budget counts the bytes that all spools of an edge hold.
type Budget struct{ held atomic.Int64 }

// Held returns the bytes that spools hold now.
func (b *Budget) Held() int64 { return b.held.Load() }

// Spool digests a body whose size, and so the size of its chunks, is unknown
// before its end: it keeps a copy until then. Free must be called at the end.
type Spool struct {
	body   []byte
	budget *Budget
}

// NewSpool returns an empty spool that draws on a budget.
func NewSpool(b *Budget) *Spool { return &Spool{budget: b} }

// Write keeps a copy. It returns ErrTooLarge beyond 8 MiB, or when the spools of
// the budget hold 64 MiB.
func (s *Spool) Write(p []byte) (int, error) {
	if len(s.body)+len(p) > maxSpool {
		return 0, ErrTooLarge
	}
	if s.budget.held.Add(int64(len(p))) > maxSpools {
		s.budget.held.Add(-int64(len(p)))
		return 0, ErrTooLarge
	}
	s.body = append(s.body, p...)
	return len(p), nil
}

// Size returns the number of bytes written.
func (s *Spool) Size() int64 { return int64(len(s.body)) }

// Sum returns the chunk hashes and their root.
func (s *Spool) Sum() (hashes []byte, root [integrity.HashSize]byte, err error) {
	d, err := integrity.NewDigester(int64(len(s.body)))
	if err != nil {
		return nil, root, err
	}
	if _, err := d.Write(s.body); err != nil {
		return nil, root, err
	}
	return d.Sum()
}

// Free lets the copy go.
func (s *Spool) Free() {
	s.budget.held.Add(-int64(len(s.body)))
	s.body = nil
}
