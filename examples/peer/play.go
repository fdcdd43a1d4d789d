package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/viewmesh/viewmesh/examples/peer/pause"
	"github.com/viewmesh/viewmesh/examples/peer/player"
	"github.com/viewmesh/viewmesh/examples/peer/viewer"
)

// errStalled: something stalled, which the table says already.
var errStalled = errors.New("playback stalled")

const (
	lineEvery = time.Second
	// arriveEvery is the time between two viewers of one process, so that they do
	// not all begin in the same moment.
	arriveEvery = 100 * time.Millisecond
)

// play runs the viewers and prints how it went.
func play(ctx context.Context, o options, log *slog.Logger, logs *aside, out io.Writer) error {
	http, err := o.client()
	if err != nil {
		return err
	}
	defer http.CloseIdleConnections()
	players := make([]*player.Player, o.count)
	errs := make([]error, o.count)
	var work sync.WaitGroup
	for i := range players {
		of := log
		if o.count > 1 {
			of = log.With("viewer", i+1)
		}
		p := player.New(player.Config{URL: o.url, Rendition: o.rendition, Viewer: o.viewerConfig(http, of)})
		players[i] = p
		work.Go(func() {
			if !pause.For(ctx, time.Duration(i)*arriveEvery) {
				return
			}
			errs[i] = p.Run(ctx)
		})
	}
	over := make(chan struct{})
	go func() {
		work.Wait()
		close(over)
	}()
	var printed error
	if o.every > 0 {
		printed = printEvery(over, o.every, out, func() []viewer.Stats { return collect(players) })
	} else {
		watch(over, o, logs, func() []viewer.Stats { return collect(players) })
	}
	<-over
	player.Close(players)
	s := summarize(collect(players))
	if o.json {
		if err := s.writeJSON(out); err != nil {
			return err
		}
	} else {
		s.writeTable(out)
	}
	if err := errors.Join(append(errs, printed)...); err != nil {
		return err
	}
	if !s.fine() {
		return errStalled
	}
	return nil
}

func collect(players []*player.Player) []viewer.Stats {
	all := make([]viewer.Stats, len(players))
	for i, p := range players {
		all[i] = p.Stats()
	}
	return all
}

// printEvery prints one JSON object at each interval until over is closed.
func printEvery(over <-chan struct{}, every time.Duration, out io.Writer, stats func() []viewer.Stats) error {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return nil
		case <-ticker.C:
			s := summarize(stats())
			if err := s.writeJSON(out); err != nil {
				return err
			}
		}
	}
}

// watch shows the live line until over is closed.
func watch(over <-chan struct{}, o options, logs *aside, stats func() []viewer.Stats) {
	if o.json {
		<-over
		return
	}
	ticker := time.NewTicker(lineEvery)
	defer ticker.Stop()
	defer logs.clear()
	last := summarize(stats())
	at := time.Now()
	for {
		select {
		case <-over:
			return
		case now := <-ticker.C:
			s := summarize(stats())
			logs.show(s.line(last, now.Sub(at)))
			last, at = s, now
		}
	}
}

// aside is where the live line and the log go: a log line takes the place of the
// live line, which then comes back below it. On what is no terminal there is no
// live line.
type aside struct {
	w    io.Writer
	mu   sync.Mutex
	line string
}

func (a *aside) Write(p []byte) (int, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.line != "" {
		fmt.Fprint(a.w, "\r\x1b[K")
	}
	n, err := a.w.Write(p)
	if a.line != "" {
		fmt.Fprint(a.w, a.line)
	}
	return n, err
}

func (a *aside) show(line string) {
	if !isTerminal(a.w) {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.line = line
	fmt.Fprint(a.w, "\r\x1b[K"+line)
}

func (a *aside) clear() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.line != "" {
		fmt.Fprint(a.w, "\r\x1b[K")
		a.line = ""
	}
}
