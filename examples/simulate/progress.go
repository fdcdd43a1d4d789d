package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"
)

// progress is a bar over all runs; nil shows nothing.
type progress struct {
	mu    sync.Mutex
	w     io.Writer
	total float64
	done  float64
	began time.Time
	drawn time.Time
}

func newProgress(w io.Writer, terminal bool, o *options) *progress {
	if !terminal {
		return nil
	}
	p, seen := &progress{w: w, began: time.Now()}, map[string]bool{}
	for i := range o.scenarios {
		for _, j := range o.jobs(&o.scenarios[i]) {
			if !seen[j.key()] {
				seen[j.key()] = true
				p.total += j.cost()
			}
		}
	}
	return p
}

// job gives the function that a run calls with its share done.
func (p *progress) job(j job) func(float64) {
	if p == nil {
		return nil
	}
	last := 0.0
	return func(share float64) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.done += (share - last) * j.cost()
		last = share
		if now := time.Now(); now.Sub(p.drawn) > 200*time.Millisecond {
			p.drawn = now
			p.draw(j, now.Sub(p.began))
		}
	}
}

// draw draws the bar over itself; one that cannot be drawn harms nothing.
func (p *progress) draw(j job, took time.Duration) {
	const width = 30
	share := min(1, p.done/p.total)
	left := ""
	if share > 0.01 {
		left = fmt.Sprintf(", about %v left", time.Duration(float64(took)*(1-share)/share).Round(time.Second))
	}
	full := int(share * width)
	fmt.Fprintf(p.w, "\r\x1b[K%3.0f %% [%s%s] %s, %s, %v%s", 100*share, strings.Repeat("=", full), strings.Repeat(" ", width-full),
		j.sc.Name, j.policy, took.Round(time.Second), left)
}

// clear makes room for other output.
func (p *progress) clear() {
	if p != nil {
		p.mu.Lock()
		defer p.mu.Unlock()
		fmt.Fprint(p.w, "\r\x1b[K")
	}
}
