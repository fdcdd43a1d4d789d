package main

import (
	"fmt"
	"io"
	"time"

	"github.com/schollz/progressbar/v3"
)

// progress is a bar over all runs; nil shows nothing.
type progress struct {
	bar *progressbar.ProgressBar
}

func newProgress(w io.Writer, terminal bool, o *options) *progress {
	if !terminal {
		return nil
	}
	sum, seen := 0.0, map[string]bool{}
	for i := range o.scenarios {
		for _, j := range o.jobs(&o.scenarios[i]) {
			if !seen[j.key()] {
				seen[j.key()] = true
				sum += j.cost()
			}
		}
	}
	return &progress{bar: progressbar.NewOptions64(int64(sum), progressbar.OptionSetWriter(w), progressbar.OptionSetPredictTime(true),
		progressbar.OptionThrottle(200*time.Millisecond), progressbar.OptionClearOnFinish(), progressbar.OptionSetWidth(30),
		progressbar.OptionSetElapsedTime(true))}
}

// job gives the function that a run calls with its share done.
func (p *progress) job(j job) func(float64) {
	if p == nil {
		return nil
	}
	last := 0.0
	return func(share float64) {
		p.bar.Describe(fmt.Sprintf("%-12s %-13s", j.sc.Name, j.policy))
		_ = p.bar.Add64(int64((share - last) * j.cost())) // a bar that cannot be drawn harms nothing
		last = share
	}
}

// clear makes room for other output.
func (p *progress) clear() {
	if p != nil {
		_ = p.bar.Clear() // likewise
	}
}
