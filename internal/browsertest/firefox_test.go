package browsertest

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/firefox"
)

// TestFirefox: Firefox with hls.js is in one swarm with reference peers; they
// give to each other. It is not driven: the page says how it goes.
func TestFirefox(t *testing.T) {
	path := firefox.Need(t, "browsers of another make are peers")
	e := startEdge(t, options{site: withPlayers(npmFolder(t))})
	goPeers(t, e, 2)
	told.Store([]byte("{}"))
	ended, said := firefox.Open(t, path, e.url("/hls.html?tell&src=/live/v0/index.m3u8"), nil)
	var page struct {
		Played    float64
		Waits     int
		Error     string
		Faults    []string
		Neighbors []struct{ Received, Given int64 }
	}
	enough := func() bool {
		b := told.Load().([]byte)
		if err := json.Unmarshal(b, &page); err != nil {
			t.Fatalf("the page says %s: %v", b, err)
		}
		var received, given int64
		for _, n := range page.Neighbors {
			received += n.Received
			given += n.Given
		}
		return page.Played > 15 && received > 0 && given > 0
	}
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for late := time.After(90 * time.Second); !enough(); {
		select {
		case <-tick.C:
		case <-ended:
			t.Fatalf("Firefox has ended; the page says %s; Firefox says:\n%s", told.Load(), said.Bytes())
		case <-late:
			t.Fatalf("not within 90 s: 15 s played, bytes given and taken; the page says %s", told.Load())
		}
	}
	t.Logf("the page says %s", told.Load())
	if page.Error != "" || len(page.Faults) > 0 || page.Waits > 1 { // one may be that of a busy machine
		t.Errorf("the page says %s", told.Load())
	}
}
