package tokens

import (
	"container/heap"
	"container/list"
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"
)

var (
	// ErrReplayed: the id was used before.
	ErrReplayed = errors.New("token id was used before")
	// ErrReplayFull: there is no room to record the id, in all or for this account, and
	// none can be dropped without letting an unexpired token be used twice.
	ErrReplayFull = errors.New("replay store is full: raise its bound or issue shorter-lived tokens")
)

// Use is one use of a one-time token (RFC 9246 section 2.1.7).
type Use struct {
	// ID names the token and the content it was used for.
	ID [32]byte
	// Account names whose token it is: its subject, or the token itself.
	Account [32]byte
	// Expires is when the token dies and its use may be forgotten; the zero time means
	// never.
	Expires time.Time
}

// ReplayStore remembers which one-time tokens were used. Edges that share viewers
// should share one.
type ReplayStore interface {
	// Use records a use and reports ErrReplayed if its id was there already, as one
	// step. Any error refuses the request.
	Use(ctx context.Context, u Use, now time.Time) error
}

// ReplayMemory is a ReplayStore in this process's memory, about 250 bytes an
// entry. Ids are forgotten when their token expires. When full, ids of tokens
// without expiry make room, oldest first, as RFC 9246 section 7 has it; where
// there is none, Use fails with ErrReplayFull. It fails before that for an account
// that has an eighth of all when more than half is used, so that nobody fills it for
// the others.
type ReplayMemory struct {
	mu       sync.Mutex
	max      int
	seen     map[[32]byte]Use
	accounts map[[32]byte]int
	expiring replayHeap
	lasting  *list.List // of [32]byte, oldest first
}

// NewReplayMemory makes a store of at most limit ids, and of at least 1.
func NewReplayMemory(limit int) *ReplayMemory {
	return &ReplayMemory{max: max(limit, 1), seen: map[[32]byte]Use{}, accounts: map[[32]byte]int{}, lasting: list.New()}
}

// SetLimit changes how many ids are remembered. Those that are stay.
func (m *ReplayMemory) SetLimit(limit int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.max = max(limit, 1)
}

// All returns the uses that are remembered, in no order.
func (m *ReplayMemory) All() []Use {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.seen))
}

// Use implements ReplayStore.
func (m *ReplayMemory) Use(_ context.Context, u Use, now time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.expiring) > 0 && !now.Before(m.expiring[0].Expires) {
		m.forget(heap.Pop(&m.expiring).(Use).ID)
	}
	if _, ok := m.seen[u.ID]; ok {
		return ErrReplayed
	}
	if 2*len(m.seen) > m.max && m.accounts[u.Account] >= max(m.max/8, leastShare) {
		return ErrReplayFull
	}
	if len(m.seen) >= m.max {
		oldest := m.lasting.Front()
		if oldest == nil {
			return ErrReplayFull
		}
		m.forget(m.lasting.Remove(oldest).([32]byte))
	}
	m.seen[u.ID] = u
	m.accounts[u.Account]++
	if u.Expires.IsZero() {
		m.lasting.PushBack(u.ID)
		return nil
	}
	heap.Push(&m.expiring, u)
	return nil
}

// leastShare is how many ids each account may have in any store.
const leastShare = 16

func (m *ReplayMemory) forget(id [32]byte) {
	account := m.seen[id].Account
	delete(m.seen, id)
	if m.accounts[account]--; m.accounts[account] <= 0 {
		delete(m.accounts, account)
	}
}

// replayHeap has the entry that expires first at its root.
type replayHeap []Use

func (h replayHeap) Len() int           { return len(h) }
func (h replayHeap) Less(i, j int) bool { return h[i].Expires.Before(h[j].Expires) }
func (h replayHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *replayHeap) Push(x any)        { *h = append(*h, x.(Use)) }
func (h *replayHeap) Pop() any {
	last := (*h)[len(*h)-1]
	*h = (*h)[:len(*h)-1]
	return last
}
