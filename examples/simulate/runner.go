package main

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/sim"
)

// report is what came of a scenario.
type report struct {
	scenario sim.Scenario
	results  []*sim.Result
	verdicts []sim.Verdict // empty if viewmesh did not run
}

// short says whether something asked was not reached.
func (r *report) short() bool {
	for _, v := range r.verdicts {
		if v.State == sim.FallsShort {
			return true
		}
	}
	return false
}

// runner runs scenarios and keeps the results, because one is held against another.
type runner struct {
	opts *options
	bar  *progress
	done []*sim.Result
}

func (r *runner) find(scenario string, p sim.Policy) (*sim.Result, bool) {
	for _, d := range r.done {
		if d.Scenario == scenario && d.Policy == p {
			return d, true
		}
	}
	return nil, false
}

// report runs what is lacking of a scenario, and shows each result of its own when
// it is there.
func (r *runner) report(sc *sim.Scenario, show func(*sim.Result)) report {
	for _, j := range r.opts.jobs(sc) {
		res, ok := r.find(j.sc.Name, j.policy)
		if !ok {
			began := time.Now()
			made := sim.Run(*j.sc, j.policy, sim.Options{Progress: r.bar.job(j), Parallel: sideBySide(r.opts.parallel)})
			made.WallSeconds = time.Since(began).Seconds()
			res = &made
			r.done = append(r.done, res)
		}
		if j.sc == sc {
			show(res)
		}
	}
	rep := report{scenario: *sc}
	for _, p := range r.opts.policies {
		res, _ := r.find(sc.Name, p)
		rep.results = append(rep.results, res)
		if p == sim.Mesh {
			rep.verdicts = sim.Verdicts(sc, res, r.find)
		}
	}
	return rep
}

// sideBySide gives what a run goes through a window with: so many goroutines, each of
// which takes the next part when it is done with one.
func sideBySide(workers int) func(n int, do func(i int)) {
	if workers == 1 {
		return nil
	}
	return func(n int, do func(i int)) {
		var next atomic.Int32
		work := func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				do(i)
			}
		}
		var wg sync.WaitGroup
		for range min(workers, n) - 1 {
			wg.Go(work)
		}
		work()
		wg.Wait()
	}
}
