package tokens

import (
	"container/heap"
	"container/list"
	"context"
	"errors"
	"sync"
	"time"
)

var (
	// ErrReplayed: the id was used before.
	ErrReplayed = errors.New("token id was used before")
	// ErrReplayFull: there is no room to record the id, and none can be dropped
	// without letting an unexpired token be used twice.
	ErrReplayFull = errors.New("replay store is full: raise its bound or issue shorter-lived tokens")
)

// ReplayStore remembers which one-time tokens were used (RFC 9246 section
// 2.1.7). Edges that share viewers should share one.
type ReplayStore interface {
	// Use records an id and reports ErrReplayed if it was there already, as one
	// step. expires is when the id's token dies and may be forgotten; the zero
	// time means never. Any error refuses the request.
	Use(ctx context.Context, id [32]byte, now, expires time.Time) error
}

// ReplayMemory is a ReplayStore in this process's memory, about 150 bytes an
// entry. Ids are forgotten when their token expires. When full, ids of tokens
// without expiry make room, oldest first, as RFC 9246 section 7 has it; where
// there is none, Use fails with ErrReplayFull.
type ReplayMemory struct {
	mu       sync.Mutex
	max      int
	seen     map[[32]byte]struct{}
	expiring replayHeap
	lasting  *list.List // of [32]byte, oldest first
}

// NewReplayMemory makes a store of at most limit ids, and of at least 1.
func NewReplayMemory(limit int) *ReplayMemory {
	return &ReplayMemory{max: max(limit, 1), seen: make(map[[32]byte]struct{}), lasting: list.New()}
}

// Use implements ReplayStore.
func (m *ReplayMemory) Use(_ context.Context, id [32]byte, now, expires time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.expiring) > 0 && !now.Before(m.expiring[0].expires) {
		delete(m.seen, heap.Pop(&m.expiring).(replayEntry).id)
	}
	if _, ok := m.seen[id]; ok {
		return ErrReplayed
	}
	if len(m.seen) >= m.max {
		oldest := m.lasting.Front()
		if oldest == nil {
			return ErrReplayFull
		}
		delete(m.seen, m.lasting.Remove(oldest).([32]byte))
	}
	m.seen[id] = struct{}{}
	if expires.IsZero() {
		m.lasting.PushBack(id)
		return nil
	}
	heap.Push(&m.expiring, replayEntry{id: id, expires: expires})
	return nil
}

type replayEntry struct {
	id      [32]byte
	expires time.Time
}

// replayHeap has the entry that expires first at its root.
type replayHeap []replayEntry

func (h replayHeap) Len() int           { return len(h) }
func (h replayHeap) Less(i, j int) bool { return h[i].expires.Before(h[j].expires) }
func (h replayHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *replayHeap) Push(x any)        { *h = append(*h, x.(replayEntry)) }
func (h *replayHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
