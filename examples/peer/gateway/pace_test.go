package gateway

import (
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"
)

// TestPace: at a rate, bytes take their time however they are cut, and a pause is
// not made up for by a burst.
func TestPace(t *testing.T) {
	const rate = 100_000 // bytes/s
	now := time.Unix(1000, 0)
	var p pace
	send := func(bytes int) time.Duration {
		from := now
		for bytes > 0 {
			n := min(bytes, piece(rate))
			now = now.Add(max(0, p.take(now, n, rate)))
			bytes -= n
		}
		return now.Sub(from)
	}
	if took := send(200_000); took != 2*time.Second {
		t.Errorf("200 kB at 100 kB/s took %v", took)
	}
	now = now.Add(time.Minute)
	if took := send(100_000); took != time.Second-stepLength {
		t.Errorf("after a pause 100 kB took %v", took)
	}
}

// TestMeasuredRate: what a player measures of segments that lie here is near what
// the origin gives, and not how fast memory is.
func TestMeasuredRate(t *testing.T) {
	const limit = 250_000 // bytes/s
	s, g, url, client := open(t)
	s.limit = limit
	get(t, client, url+"/show/index.m3u8")
	get(t, client, url+"/show/v0/index.m3u8")
	var stored int64
	for n := range 4 {
		get(t, client, fmt.Sprintf("%s/show/v0/seg-%d.m4s?q=%d", url, n, n))
	}
	// Those that follow are taken ahead of the player.
	until(t, "the next segments", func() bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		for n := 4; n < 6; n++ {
			e := g.segments[fmt.Sprintf("/show/v0/seg-%d.m4s?q=%d", n, n)]
			if len(e) != 1 {
				return false
			}
			if got := e[0].playlist.show.viewer.Store().Lookup(e[0].id); got == nil || !got.Whole() {
				return false
			}
		}
		return true
	})
	asked := s.count("/show/v0/seg-4.m4s")
	from := time.Now()
	for n := 4; n < 6; n++ {
		resp, err := client.Get(fmt.Sprintf("%s/show/v0/seg-%d.m4s?q=%d", url, n, n))
		if err != nil {
			t.Fatal(err)
		}
		bytes, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: %v", resp.Status, err)
		}
		stored += bytes
	}
	// A busy machine makes it slower, and nothing makes it faster.
	rate := float64(stored) / time.Since(from).Seconds()
	t.Logf("an origin of %d kB/s is measured as %.0f kB/s", limit/1000, rate/1000)
	if rate > 2*limit {
		t.Errorf("the player measures %.0f bytes/s, the origin gives %d", rate, limit)
	}
	if s.count("/show/v0/seg-4.m4s") != asked {
		t.Error("the origin was asked again: this shows nothing")
	}
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
}
