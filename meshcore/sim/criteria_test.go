package sim

import "testing"

// TestAsked holds the engine, in small, to what the scenarios ask of it. What
// each viewer costs the origin weighs more in a small and short run: where the
// asked share of the ceiling is out of reach for that reason, or is far below what is
// reached, the case says what
// is asked instead.
func TestAsked(t *testing.T) {
	for _, c := range []struct {
		name      string
		viewers   int
		minutes   float64
		ofCeiling float64 // 0: as the scenario asks
	}{
		{"live-3", 3, 10, 0},
		{"live-5", 5, 10, 0},
		{"live-10", 10, 10, 0},
		{"live-20", 20, 8, 0},
		{"lowdelay-100", 40, 3, 0},
		{"exodus-1k", 60, 4, 0},
		{"abr-1k", 60, 4, 0},
		{"hostile-1k", 60, 3, 0},
		{"mixed-1k", 120, 4, 0.93},
		{"flash-5k", 80, 2, 0},
		{"pages-4", 4, 1, 0},
		{"pages-12", 12, 1, 0},
		{"ahead-12", 12, 3, 0},
		{"together-12", 12, 2, 0},
		{"paths-100", 40, 4, 0.94},
		{"paths-long-100", 40, 4, 0.88},
		{"mixed-8", 8, 4, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			sc := small(t, c.name, c.viewers, c.minutes)
			if c.ofCeiling > 0 {
				sc.Asked.OfCeiling = c.ofCeiling
			}
			r := Run(sc, Mesh, Options{})
			others := func(name string, p Policy) (*Result, bool) {
				o := sc
				if name != sc.Name {
					o = small(t, name, c.viewers, c.minutes)
				}
				res := Run(o, p, Options{})
				return &res, true
			}
			t.Logf("offload %.4f of %.4f, %d stalls, peak %.0f Mbit/s", r.Offload, r.Ceiling, r.Stalls, r.OriginPeakMbps)
			for _, v := range Verdicts(&sc, &r, others) {
				if v.State != Pass {
					t.Errorf("%s: %s, got %s", v.State, v.Asked, v.Got)
				}
			}
		})
	}
}

// TestFilm is the same for a VOD: 60 viewers in 7 minutes, a film of 5.
func TestFilm(t *testing.T) {
	sc := small(t, "vod-500", 60, 12)
	sc.FilmS, sc.ArriveS = 300, 400
	r := Run(sc, Mesh, Options{})
	if r.Offload < 0.9*r.Ceiling || r.Stalls > 0 || r.NotStarted > 0 {
		t.Errorf("offload %.4f of %.4f, %d stalls, %d not started", r.Offload, r.Ceiling, r.Stalls, r.NotStarted)
	}
	if o := Run(sc, OriginOnly, Options{}); o.Stalls > 0 || o.NotStarted > 0 {
		t.Errorf("origin-only has %d stalls, %d not started: nothing stands in its way", o.Stalls, o.NotStarted)
	}
}

// TestNeighborsFollowASwitch: where uplinks are narrow, who switches needs neighbors
// that play the new rendition. Even with perfect ones the highest rendition's viewers
// have too little uplink among them: 0.85 of the ceiling would be all.
func TestNeighborsFollowASwitch(t *testing.T) {
	sc := small(t, "mixed-1k", 150, 3)
	sc.Renditions, sc.SwitchS, sc.UpMaxMbps = []float64{3, 1.5, 0.75}, 60, 8
	if r := Run(sc, Mesh, Options{}); r.Offload < 0.735*r.Ceiling || r.Stalls > 0 {
		t.Errorf("offload %.4f of %.4f, %d stalls", r.Offload, r.Ceiling, r.Stalls)
	}
}

// TestHostileAreFound: polluted chunks arrive, and none is kept.
func TestHostileAreFound(t *testing.T) {
	sc := small(t, "hostile-1k", 60, 3)
	sc.Polluters = 0.1
	r := Run(sc, Mesh, Options{})
	if r.BadChunks == 0 {
		t.Error("no wrong chunk came: the scenario has no polluters")
	}
	if r.Violations != 0 || r.Stalls != 0 {
		t.Errorf("%d violations, %d stalls", r.Violations, r.Stalls)
	}
}

func TestVerdicts(t *testing.T) {
	one := func(f func(a *Asked)) *Scenario {
		sc := &Scenario{Name: "s"}
		f(&sc.Asked)
		return sc
	}
	good := &Result{Offload: 0.95, Ceiling: 0.99, OriginPeakMbps: 10}
	bad := &Result{Offload: 0.5, Ceiling: 0.99, OriginPeakMbps: 90, Stalls: 3, NotStarted: 1, Violations: 2}
	other := &Result{Offload: 0.7, OriginPeakMbps: 100, Stalls: 2}
	for name, sc := range map[string]*Scenario{
		"ceiling":  one(func(a *Asked) { a.OfCeiling = 0.95 }),
		"stall":    one(func(a *Asked) { a.NoStall = true }),
		"as one":   one(func(a *Asked) { a.StallsAsOne = true }),
		"peak":     one(func(a *Asked) { a.PeakShare = 0.15 }),
		"within":   one(func(a *Asked) { a.Within, a.WithinPts = "r", 5 }),
		"bad byte": one(func(a *Asked) { a.NoBadByte = true }),
		"baseline": one(func(a *Asked) { a.BeatsOthers = true }),
	} {
		with := func(string, Policy) (*Result, bool) { return other, true }
		without := func(string, Policy) (*Result, bool) { return nil, false }
		state := func(r *Result, find func(string, Policy) (*Result, bool)) State {
			vs := Verdicts(sc, r, find)
			if len(vs) != 1 || vs[0].Asked == "" {
				t.Fatalf("%s: %+v", name, vs)
			}
			return vs[0].State
		}
		if s := state(good, with); s != Pass {
			t.Errorf("%s: a good result is %q", name, s)
		}
		if s := state(bad, with); s != FallsShort {
			t.Errorf("%s: a bad result is %q", name, s)
		}
		compares := sc.Asked.StallsAsOne || sc.Asked.PeakShare > 0 || sc.Asked.Within != "" || sc.Asked.BeatsOthers
		if s := state(bad, without); (s == Unknown) != compares {
			t.Errorf("%s: without another run it is %q", name, s)
		}
	}
}
