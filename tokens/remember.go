package tokens

import (
	"container/list"
	"crypto/sha256"
	"sync"
	"time"
)

// Remember is a bounded memory of what verified tokens said, so that a token is
// checked cryptographically once and looked up after that. When full it forgets
// the entry that was not used for longest. It keeps the SHA-256 of a token, not
// the token. Safe for concurrent use.
//
// Whoever remembers must still check, at each use, everything that is not fixed
// by the token: the time, the URI, the address, and that the key is still
// trusted.
type Remember[V any] struct {
	mu      sync.Mutex
	max     int
	entries map[[32]byte]*list.Element
	order   *list.List // of *remembered[V], most recently used first
}

type remembered[V any] struct {
	key     [32]byte
	value   V
	expires time.Time // zero: no expiry
}

// NewRemember makes a memory of at most max entries; max below 1 remembers
// nothing.
func NewRemember[V any](max int) *Remember[V] {
	return &Remember[V]{max: max, entries: make(map[[32]byte]*list.Element), order: list.New()}
}

// Get gives what was put for a token, unless its expiry is now or past.
func (m *Remember[V]) Get(token string, now time.Time) (V, bool) {
	var none V
	if m.max < 1 {
		return none, false
	}
	key := sha256.Sum256([]byte(token))
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	if !ok {
		return none, false
	}
	r := e.Value.(*remembered[V])
	if !r.expires.IsZero() && !now.Before(r.expires) {
		m.remove(e)
		return none, false
	}
	m.order.MoveToFront(e)
	return r.value, true
}

// Put remembers a value for a token until expires; the zero time means until
// there is no room. It replaces what was there.
func (m *Remember[V]) Put(token string, value V, expires time.Time) {
	if m.max < 1 {
		return
	}
	key := sha256.Sum256([]byte(token))
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[key]; ok {
		e.Value = &remembered[V]{key: key, value: value, expires: expires}
		m.order.MoveToFront(e)
		return
	}
	for len(m.entries) >= m.max {
		m.remove(m.order.Back())
	}
	m.entries[key] = m.order.PushFront(&remembered[V]{key: key, value: value, expires: expires})
}

// Forget drops a token.
func (m *Remember[V]) Forget(token string) {
	key := sha256.Sum256([]byte(token))
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[key]; ok {
		m.remove(e)
	}
}

// Len is how many tokens are remembered, expired ones that nobody asked for
// included.
func (m *Remember[V]) Len() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.entries)
}

func (m *Remember[V]) remove(e *list.Element) {
	delete(m.entries, e.Value.(*remembered[V]).key)
	m.order.Remove(e)
}
