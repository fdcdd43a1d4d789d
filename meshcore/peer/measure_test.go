package peer_test

import (
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
)

// answers gives an engine answers of the origin one after another, each as soon as
// the one before is over, and tells its rate.
type answers struct {
	e   *peer.Engine
	now time.Duration
}

func newAnswers() *answers { return &answers{e: peer.New(peer.Config{ID: 1})} }

// over says that an answer is over now.
func (a *answers) over(bytes int64, within, took time.Duration) {
	a.e.Step(a.now, &peer.Input{Kind: peer.OriginTimed, Bytes: bytes, Within: within, Took: took})
}

// take takes n answers of so many bytes from an origin of a rate that begins to
// answer after a delay.
func (a *answers) take(n int, bytes int64, rate float64, delay time.Duration) {
	for range n {
		took := time.Duration(float64(bytes) / rate * float64(time.Second))
		a.now += delay + took
		a.over(bytes, delay, took)
	}
}

func (a *answers) want(t *testing.T, what string, low, high float64) {
	t.Helper()
	if r := a.e.OriginRate(); r < low || r > high {
		t.Errorf("%s: %.0f bytes/s, want %.0f to %.0f", what, r, low, high)
	}
}

const ms = time.Millisecond

// TestOriginRate: what the engine takes the origin's rate for, which players are
// shown, is what a segment could be had at, whatever the engine took of late.
func TestOriginRate(t *testing.T) {
	a := newAnswers()
	a.want(t, "before any answer", 500e3, 500e3)
	a.take(3, 55_000, 45e3, 45*ms)
	a.want(t, "segments over a slow link", 44.9e3, 45.1e3)
	a.take(20, 16<<10, 45e3, 45*ms)
	a.take(20, 5<<10, 45e3, 5*ms)
	a.want(t, "then single chunks and small rests", 44.9e3, 45.1e3)
	a.over(3<<10, 45*ms, 0)
	a.want(t, "then less than says anything", 44.9e3, 45.1e3)
	a.over(16<<10, 45*ms, 0)
	a.want(t, "then a chunk in one burst", 45e3, 2*45e3)
	a.over(400_000, ms, ms) // of the browser's cache, for example
	a.take(2, 55_000, 45e3, 45*ms)
	a.want(t, "two segments after one that was not taken over the link", 45e3, 3.1*45e3)
	a.take(4, 55_000, 45e3, 45*ms)
	a.want(t, "six after it", 45e3, 1.5*45e3)

	a = newAnswers()
	a.take(2, 750_000, 10e6, 50*ms)
	a.want(t, "segments over a fast link", 9.9e6, 10.1e6)
	a.take(20, 16<<10, 10e6, 50*ms)
	a.want(t, "then single chunks, which come in a moment after a round trip", 5e6, 10.1e6)

	a = newAnswers()
	a.take(10, 30_000, 1e6, 20*ms)
	a.take(3, 30_000, 45e3, 20*ms)
	a.want(t, "it has become slow", 45e3, 1.5*45e3)
	a.take(12, 30_000, 1e6, 20*ms)
	a.want(t, "and fast again", 0.5e6, 1.01e6)
}

// TestOriginRateOfAnswersAtOnce: answers that come at the same time may have shared the
// way here or not. The rate lies between what each had and what all had.
func TestOriginRateOfAnswersAtOnce(t *testing.T) {
	a := newAnswers()
	for range 6 { // video and audio together, at 100 kB/s: the small one is over first
		a.now += 50*ms + 200*ms
		a.over(10_000, 50*ms, 200*ms)
		a.now += 400 * ms
		a.over(50_000, 50*ms, 600*ms)
	}
	a.want(t, "pairs", 50e3/0.6, 100e3)

	a = newAnswers()
	a.now = 2 * time.Second
	for range 12 { // always two on the way, each at 50 kB/s
		a.over(60_000, 0, 1200*ms)
		a.now += 600 * ms
	}
	a.want(t, "always two", 60e3, 75e3)
}
