package attacks

import (
	"fmt"
	"testing"
	"time"
)

// TestAttackStallsNobody: four viewers play a film with a fifth that gives wrong bytes
// only. The attack costs them nothing that a viewer sees: they do not stall, or no more
// often than by themselves on the same machine.
func TestAttackStallsNobody(t *testing.T) {
	s := newSite(t, "")
	watch := func(attacked bool) (stalls, bad int64) {
		a := s.audience()
		if attacked {
			liar := a.join(s.tokenOf("liar", "/film/", time.Hour), func(data []byte) []byte {
				wrong := make([]byte, len(data))
				copy(wrong, data)
				wrong[0] ^= 1
				return wrong
			})
			a.until("the liar to have some", 20*time.Second, func() bool { return liar.Stats().BufferMS > 5000 })
		}
		honest := len(a.players)
		for n := range 4 {
			a.join(s.tokenOf(fmt.Sprint("viewer-", n), "/film/", time.Hour), nil)
		}
		a.until("12 s of media", 60*time.Second, func() bool {
			for _, p := range a.players[honest:] {
				if p.Stats().PlayedMS < 12_000 {
					return false
				}
			}
			return true
		})
		for _, p := range a.players[honest:] {
			v := p.Stats()
			stalls += v.Stalls
			bad += v.BadChunks
		}
		a.end()
		if a.wrong != 0 {
			t.Errorf("%d segments played are not the origin's", a.wrong)
		}
		return stalls, bad
	}
	for try := 1; ; try++ {
		with, bad := watch(true)
		t.Logf("%d stalls with the attack, %d bad chunks seen", with, bad)
		if bad == 0 {
			t.Fatal("no bad chunk was seen: this was no attack")
		}
		if with == 0 {
			return
		}
		without, _ := watch(false)
		t.Logf("%d stalls without the attack", without)
		if with <= without {
			return
		}
		if try == 3 { // twice it may have been other work of the machine
			t.Fatalf("the attack made %d stalls, %d were there without it", with, without)
		}
	}
}
