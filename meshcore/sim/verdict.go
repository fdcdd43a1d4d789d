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
