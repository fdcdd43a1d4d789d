package sim

import (
	"math"
	"testing"
	"time"
)

func TestLiveCeiling(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(sc *Scenario)
		want   float64
	}{
		{"one viewer", func(sc *Scenario) { sc.Viewers = 1 }, 0},
		{"five", func(sc *Scenario) { sc.Viewers = 5 }, 0.8},
		{"short of uplink", func(sc *Scenario) { sc.Viewers, sc.UpMbps = 100, 1.5 }, 0.5},
		{"nobody gives", func(sc *Scenario) { sc.NoUpload = 1 }, 0},
		{"symmetric NATs alone", func(sc *Scenario) { sc.SymmetricNAT = 1 }, 0},
	} {
		sc := small(t, "live-10", 10, 5)
		sc.ArriveS = 0
		c.change(&sc)
		if r := Run(sc, OriginOnly, Options{}); math.Abs(r.Ceiling-c.want) > 1e-3 {
			t.Errorf("%s: ceiling %.4f, want %.4f", c.name, r.Ceiling, c.want)
		}
	}
	// With three renditions each has viewers of its own.
	sc := small(t, "abr-1k", 30, 5)
	sc.SwitchS, sc.ArriveS = 0, 0
	if r := Run(sc, OriginOnly, Options{}); math.Abs(r.Ceiling-0.9) > 0.01 {
		t.Errorf("three renditions of 10: ceiling %.4f, want 0.9", r.Ceiling)
	}
}

// TestFilmCeiling: for Poisson arrivals and no buffer, (1 - (1 - e^-c)/c) on
// average; the buffer goal adds a little.
func TestFilmCeiling(t *testing.T) {
	for _, c := range []float64{1, 3, 10} {
		const film = 1200.0
		sum, runs := 0.0, 40
		for seed := range runs {
			sc := small(t, "vod-500", 1, 1)
			sc.Seed = uint64(seed)
			sc.FilmS, sc.Viewers = film, 200
			sc.ArriveS = 200 * film / c
			sc.Minutes = (sc.ArriveS*1.5 + film) / 60
			ceil := newCeiling(&sc)
			w := newWorld(sc, OriginOnly)
			for today := w.q.next(); len(today) > 0; today = w.q.next() {
				for _, e := range today {
					n := w.nodes[e.to]
					n.player.came, n.player.left = e.at, e.at+seconds(film)
					ceil.here(e.at, n, +1)
				}
			}
			sum += ceil.filmShare(time.Duration(math.MaxInt64))
		}
		got, want := sum/float64(runs), 1-(1-math.Exp(-c))/c
		if got < want-0.02 || got > want+0.03 {
			t.Errorf("%.0f viewers on average: ceiling %.3f, want %.3f and a little", c, got, want)
		}
	}
}

func TestFairness(t *testing.T) {
	m := meter{shares: []float64{2, 2, 2, 2}}
	if f := m.fairness(); f != 1 {
		t.Errorf("equal shares: %v, want 1", f)
	}
	m.shares = []float64{8, 0, 0, 0}
	if f := m.fairness(); f != 0.25 {
		t.Errorf("one of four: %v, want 0.25", f)
	}
}
