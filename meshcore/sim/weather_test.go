package sim

import (
	"fmt"
	"testing"
	"time"
)

// crowd gives a built-in scenario with fewer viewers, for each of whom the origin has as
// much.
func crowd(t testing.TB, name string, viewers int, minutes float64) Scenario {
	t.Helper()
	sc, err := Builtin(name)
	if err != nil {
		t.Fatal(err)
	}
	share := float64(viewers) / float64(sc.Viewers)
	sc.Viewers, sc.Minutes, sc.OriginMbps = viewers, minutes, sc.OriginMbps*share
	return sc
}

// TestWeather holds the engine, in small, to what is asked of it in bad weather.
func TestWeather(t *testing.T) {
	for _, c := range []struct {
		name    string
		viewers int
		minutes float64
	}{
		{"crowd-200", 120, 1.5},
		{"crowd-200-5", 200, 1.5},
		{"crowd-film-200", 120, 1.5},
		{"far-origin-20", 20, 2},
		{"thin-uplinks-20", 20, 5},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sc := crowd(t, c.name, c.viewers, c.minutes)
			r := Run(sc, Mesh, Options{})
			t.Logf("offload %.4f of %.4f, %d stalls, start-up %d ms", r.Offload, r.Ceiling, r.Stalls, r.StartupMSP95)
			for _, v := range Verdicts(&sc, &r, func(_ string, p Policy) (*Result, bool) {
				res := Run(sc, p, Options{})
				return &res, true
			}) {
				if v.State != Pass {
					t.Errorf("%s: %s, got %s", v.State, v.Asked, v.Got)
				}
			}
		})
	}
}

// TestNeverWorse runs a small crowd over a grid of networks: in none does it start later,
// or stall longer, than without the mesh. Uplinks that do not carry what their viewers
// watch are not in the grid: see RESULTS.md.
func TestNeverWorse(t *testing.T) {
	const viewers = 32
	for _, origin := range []float64{1.5, 0.5, 0.15} { // of what all watch
		for _, rtt := range []float64{40, 300} {
			for _, uplink := range []float64{20, 8} {
				for _, arrive := range []float64{1, 40} {
					t.Run(fmt.Sprintf("origin %g, rtt %g ms, uplinks %g, within %g s", origin, rtt, uplink, arrive), func(t *testing.T) {
						t.Parallel()
						sc := crowd(t, "crowd-200", viewers, 1.5)
						sc.OriginMbps, sc.OriginMS, sc.UpMbps, sc.ArriveS = origin*viewers*sc.RateMbps, rtt/2, uplink, arrive
						sc.Asked = Asked{NeverWorse: true}
						r, o := Run(sc, Mesh, Options{}), Run(sc, OriginOnly, Options{})
						for _, v := range Verdicts(&sc, &r, func(string, Policy) (*Result, bool) { return &o, true }) {
							if v.State != Pass {
								t.Errorf("%s: %s, got %s", v.State, v.Asked, v.Got)
							}
						}
					})
				}
			}
		}
	}
}

// TestOutages: the origin sends as much as it can, in an outage too.
func TestOutages(t *testing.T) {
	w := &world{sc: Scenario{OriginMbps: 8, Outages: []Outage{{FromS: 10, ToS: 20, Share: 0.1}, {FromS: 30, ToS: 40}}}}
	for _, c := range []struct{ from, bytes, want float64 }{
		{0, 1e6, 1},      // before
		{9, 2e6, 20},     // into the first, which has a megabyte in all
		{10, 5e5, 15},    // within it
		{9.5, 2e6, 20.5}, // through it
		{29, 2e6, 41},    // through the second, which has nothing
		{35, 1e6, 41},    // within it
		{50, 1e6, 51},    // after
	} {
		if got := originSends(w, seconds(c.from), int64(c.bytes)); got < seconds(c.want)-time.Millisecond || got > seconds(c.want)+time.Millisecond {
			t.Errorf("%g bytes from %g s are sent by %v, want %g s", c.bytes, c.from, got, c.want)
		}
	}
}
