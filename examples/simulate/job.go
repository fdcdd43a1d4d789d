package main

import "github.com/viewmesh/viewmesh/meshcore/sim"

// job is one run.
type job struct {
	sc     *sim.Scenario
	policy sim.Policy
}

// jobs lists the runs that a scenario needs: its policies, and viewmesh in the
// scenario that it is held against.
func (o *options) jobs(sc *sim.Scenario) []job {
	var js []job
	for _, p := range o.policies {
		js = append(js, job{sc, p})
		if p == sim.Mesh && sc.Asked.Within != "" {
			if other := o.against(sc); other != nil {
				js = append(js, job{other, sim.Mesh})
			}
		}
	}
	return js
}

// against gives the scenario that sc is held against, with the same seed, viewers
// and minutes as sc where these were changed.
func (o *options) against(sc *sim.Scenario) *sim.Scenario {
	for i := range o.scenarios {
		if o.scenarios[i].Name == sc.Asked.Within {
			return &o.scenarios[i]
		}
	}
	other, err := sim.Builtin(sc.Asked.Within)
	if err != nil {
		return nil // Verdicts reports that it is not compared
	}
	other.Seed, other.Viewers, other.Minutes = sc.Seed, sc.Viewers, sc.Minutes
	return &other
}

// costs is about what a viewer minute costs under a policy, for the bar.
var costs = map[sim.Policy]float64{sim.Mesh: 100, sim.WindowRandom: 20, sim.OriginOnly: 1}

func (j job) cost() float64 { return costs[j.policy] * float64(j.sc.Viewers) * j.sc.Minutes }

func (j job) key() string { return j.sc.Name + " " + string(j.policy) }
