package tokens

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"
)

func TestRememberIsBoundedAndForgets(t *testing.T) {
	m := NewRemember[int](3)
	for i := range 3 {
		m.Put(fmt.Sprint("t", i), i, unix(200))
	}
	if _, ok := m.Get("t0", unix(100)); !ok { // t1 is now the oldest
		t.Fatal("t0 is forgotten")
	}
	m.Put("t3", 3, time.Time{})
	for token, want := range map[string]bool{"t0": true, "t1": false, "t2": true, "t3": true} {
		if _, ok := m.Get(token, unix(199)); ok != want {
			t.Errorf("%s: remembered %v, want %v", token, ok, want)
		}
	}
	if _, ok := m.Get("t0", unix(200)); ok {
		t.Error("an expired token is remembered")
	}
	if v, ok := m.Get("t3", unix(1<<40)); !ok || v != 3 || m.Len() != 2 {
		t.Errorf("got %d, %v, %d entries", v, ok, m.Len())
	}
	m.Put("t3", 33, unix(300))
	m.Forget("t2")
	m.Forget("never seen")
	if v, _ := m.Get("t3", unix(100)); v != 33 || m.Len() != 1 {
		t.Errorf("got %d, %d entries", v, m.Len())
	}
	none := NewRemember[int](-1)
	none.Put("t", 1, time.Time{})
	if _, ok := none.Get("t", unix(1)); ok || none.Len() != 0 {
		t.Error("a memory of no size remembers")
	}
}

func TestRememberByManyAtOnce(t *testing.T) {
	m := NewRemember[int](50)
	var wg sync.WaitGroup
	for g := range 8 {
		wg.Go(func() {
			for i := range 500 {
				token := fmt.Sprint((g + i) % 100)
				m.Put(token, i, unix(int64(i)))
				m.Get(token, unix(int64(i%7)))
				m.Forget(fmt.Sprint(i % 13))
			}
		})
	}
	wg.Wait()
	if m.Len() > 50 || m.Len() != m.order.Len() {
		t.Errorf("%d entries, %d in order, want at most 50", m.Len(), m.order.Len())
	}
}

func TestReplayMemory(t *testing.T) {
	ctx := context.Background()
	m := NewReplayMemory(3)
	use := func(id byte, now int64, expires time.Time) error {
		return m.Use(ctx, Use{ID: [32]byte{id}, Expires: expires}, unix(now))
	}
	for i, step := range []struct {
		id      byte
		now     int64
		expires time.Time
		want    error
	}{
		{1, 100, unix(110), nil},
		{1, 100, unix(110), ErrReplayed},
		{1, 109, unix(110), ErrReplayed},
		{1, 110, unix(120), nil}, // its first token is dead, so it was forgotten
		{2, 110, unix(115), nil},
		{3, 110, time.Time{}, nil},
		{4, 110, unix(130), nil}, // 3 never expires and made room
		{5, 110, unix(130), ErrReplayFull},
		{1, 114, unix(120), ErrReplayed},
		{5, 115, unix(130), nil}, // 2 expired
		{4, 115, unix(130), ErrReplayed},
		{6, 115, time.Time{}, ErrReplayFull},
		{6, 120, time.Time{}, nil}, // 1 expired
		{7, 120, time.Time{}, nil}, // 6 made room
		{6, 120, time.Time{}, nil}, // which the RFC accepts of tokens without exp
	} {
		if err := use(step.id, step.now, step.expires); !errors.Is(err, step.want) {
			t.Errorf("step %d: got %v, want %v", i, err, step.want)
		}
		if len(m.seen) > 3 || len(m.seen) != len(m.expiring)+m.lasting.Len() {
			t.Errorf("step %d: %d seen, %d expiring, %d lasting", i, len(m.seen), len(m.expiring), m.lasting.Len())
		}
	}
}

// Of many requests with one id at once, one is admitted.
func TestReplayMemoryAdmitsOne(t *testing.T) {
	m := NewReplayMemory(10)
	var wg sync.WaitGroup
	var mu sync.Mutex
	admitted := 0
	for range 20 {
		wg.Go(func() {
			if m.Use(context.Background(), Use{ID: [32]byte{1}, Expires: unix(200)}, unix(100)) == nil {
				mu.Lock()
				admitted++
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if admitted != 1 {
		t.Errorf("%d were admitted", admitted)
	}
}

// An account that has much of a store is refused before the store is full for others.
func TestReplayMemoryIsShared(t *testing.T) {
	m := NewReplayMemory(400)
	refused := 0
	for i := range 1000 {
		if m.Use(t.Context(), Use{ID: [32]byte{byte(i), byte(i >> 8)}, Account: [32]byte{1}, Expires: unix(200)}, unix(100)) != nil {
			refused++
		}
	}
	for i := range 100 {
		if err := m.Use(t.Context(), Use{ID: [32]byte{byte(i), 9}, Account: [32]byte{2, byte(i)}, Expires: unix(200)}, unix(100)); err != nil {
			t.Fatalf("another account's token %d: %v", i, err)
		}
	}
	if refused == 0 || len(m.All()) != 1100-refused {
		t.Errorf("%d refused, %d kept", refused, len(m.All()))
	}
}
