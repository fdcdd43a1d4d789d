package sim

import "fmt"

// Verdict is how a result stands to one thing that was asked.
type Verdict struct {
	Asked string `json:"asked"` // in words, with the figure
	Got   string `json:"got"`
	State State  `json:"state"`
}

// State is the outcome of a [Verdict].
type State string

// The states.
const (
	Pass       State = "pass"
	FallsShort State = "falls short"
	// Unknown: the run that it is compared with was not made.
	Unknown State = "not compared"
)

// Verdicts holds the result of policy viewmesh to what its scenario asks. others
// finds the result of another policy of the same scenario, or of policy viewmesh
// in the scenario of [Asked.Within]; ok is false if there was no such run.
func Verdicts(sc *Scenario, r *Result, others func(scenario string, p Policy) (res *Result, ok bool)) []Verdict {
	var vs []Verdict
	say := func(ok bool, asked, got string) {
		v := Verdict{asked, got, FallsShort}
		if ok {
			v.State = Pass
		}
		vs = append(vs, v)
	}
	compare := func(scenario string, p Policy, asked string, with func(o *Result) (bool, string)) {
		o, found := others(scenario, p)
		if !found {
			vs = append(vs, Verdict{asked, "", Unknown})
			return
		}
		ok, got := with(o)
		say(ok, asked, got)
	}
	a := &sc.Asked
	if a.OfCeiling > 0 {
		say(r.Offload >= a.OfCeiling*r.Ceiling, fmt.Sprintf("at least %.2f of the ceiling", a.OfCeiling), fmt.Sprintf("%.3f", r.Offload/r.Ceiling))
	}
	if a.NoStall {
		say(r.Stalls == 0 && r.NotStarted == 0, "no stall", fmt.Sprintf("%d, %d not started", r.Stalls, r.NotStarted))
	}
	if a.StallsAsOne {
		compare(sc.Name, OriginOnly, "stalls no more than origin-only", func(o *Result) (bool, string) {
			return r.Stalls+r.NotStarted <= o.Stalls+o.NotStarted, fmt.Sprintf("%d to %d", r.Stalls+r.NotStarted, o.Stalls+o.NotStarted)
		})
	}
	if a.StartupS > 0 {
		say(float64(r.StartupMSP95) <= 1000*a.StartupS, fmt.Sprintf("start-up at most %g s at p95", a.StartupS), fmt.Sprintf("%.1f s", float64(r.StartupMSP95)/1000))
	}
	if a.StalledPct > 0 {
		pct := 100 * r.StallSeconds / max(1, r.WatchedSeconds)
		say(pct <= a.StalledPct && r.NotStarted == 0, fmt.Sprintf("stalled at most %g %% of the time", a.StalledPct), fmt.Sprintf("%.2f %%, %d not started", pct, r.NotStarted))
	}
	if a.BehindS > 0 {
		say(float64(r.LiveLatencyMS) <= 1000*a.BehindS, fmt.Sprintf("at most %g s behind live at the end", a.BehindS), fmt.Sprintf("%.1f s", float64(r.LiveLatencyMS)/1000))
	}
	if a.NoHerdS > 0 {
		before, after := peaks(r.Series, a.NoHerdS)
		say(after <= 1.5*before, fmt.Sprintf("no peak above 1.5 of what was before %g s", a.NoHerdS), fmt.Sprintf("%.0f to %.0f Mbit/s", after, before))
	}
	if a.NeverWorse {
		compare(sc.Name, OriginOnly, "never worse than origin-only", func(o *Result) (bool, string) {
			late := float64(r.StartupMSP95 - o.StartupMSP95)
			return r.NotStarted <= o.NotStarted && r.StallSeconds <= o.StallSeconds && late <= max(100, float64(o.StartupMSP95)/10),
				fmt.Sprintf("start-up %d to %d ms, stalled %.1f to %.1f s, not started %d to %d", r.StartupMSP95, o.StartupMSP95,
					r.StallSeconds, o.StallSeconds, r.NotStarted, o.NotStarted)
		})
	}
	if a.PeakShare > 0 {
		compare(sc.Name, OriginOnly, fmt.Sprintf("origin peak at most %.0f %% of origin-only", 100*a.PeakShare), func(o *Result) (bool, string) {
			return r.OriginPeakMbps <= a.PeakShare*o.OriginPeakMbps, fmt.Sprintf("%.1f %%", 100*r.OriginPeakMbps/o.OriginPeakMbps)
		})
	}
	if a.Saving > 0 {
		say(r.Saving >= a.Saving, fmt.Sprintf("at least %.2f saved, what the relay carried not counted", a.Saving), fmt.Sprintf("%.3f", r.Saving))
	}
	if a.BelowPlain {
		compare(sc.Name, OriginOnly, "origin and relay together send no more than origin-only", func(o *Result) (bool, string) {
			return r.OriginBytes+r.RelayedBytes <= o.OriginBytes, fmt.Sprintf("%.1f %%", 100*float64(r.OriginBytes+r.RelayedBytes)/float64(o.OriginBytes))
		})
	}
	if a.RecoversS > 0 {
		took := sc.recovered(r.Series)
		got := "never"
		if took != never {
			got = fmt.Sprintf("%.0f s", took.Seconds())
		}
		say(took <= seconds(a.RecoversS), fmt.Sprintf("peers give as much as before within %.0f s after the paths are back", a.RecoversS), got)
	}
	if a.Within != "" {
		compare(a.Within, Mesh, fmt.Sprintf("offload within %.0f points of %s", a.WithinPts, a.Within), func(o *Result) (bool, string) {
			return r.Offload >= o.Offload-a.WithinPts/100, fmt.Sprintf("%+.1f points", 100*(r.Offload-o.Offload))
		})
	}
	if a.NoBadByte {
		say(r.Violations == 0, "no bad byte played", fmt.Sprintf("%d, %d thrown away", r.Violations, r.BadChunks))
	}
	if a.BeatsOthers {
		compare(sc.Name, WindowRandom, "offload above window-random", func(o *Result) (bool, string) {
			return r.Offload > o.Offload, fmt.Sprintf("%.3f to %.3f", r.Offload, o.Offload)
		})
	}
	return vs
}

// peaks returns the highest rates of the origin in the minute before a time, the first
// window of a run apart, and from then on, in Mbit/s.
func peaks(series []Point, at float64) (before, after float64) {
	for _, p := range series {
		switch {
		case p.Seconds >= at:
			after = max(after, p.OriginMbps())
		case p.Seconds >= at-60:
			before = max(before, p.OriginMbps())
		}
	}
	return before, after
}
