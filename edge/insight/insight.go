package insight

import (
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
)

const (
	// defaultAge and defaultSize bound the history of a Config that says nothing.
	defaultAge  = 90 * 24 * time.Hour
	defaultSize = 512 << 20
	// inMemory is how many rows of ten seconds are in memory: an hour.
	inMemory = 360
)

// Config is what an Insight needs.
type Config struct {
	Log *zap.Logger
	Now func() time.Time
	// File keeps the history. Empty: the last hour is kept in memory alone.
	File string
	// Age and Size bound the history. Default: 90 days, 512 MiB.
	Age  time.Duration
	Size int64
	// Sample is called before each row, to bring the meters up to date. Default: nothing.
	Sample func(*Meters)
}

// Insight has the meters of an edge and their history. It is safe for concurrent use.
type Insight struct {
	*Meters
	config Config

	mu      sync.Mutex
	timer   *time.Timer
	closed  bool
	history *history // nil while there is none
	failed  error    // why rows are in memory alone
	recent  []Row    // the last hour
	written time.Time
	done    chan struct{} // closed by Close
}

// New starts an Insight. Close ends it.
func New(c Config) *Insight {
	if c.Age == 0 {
		c.Age = defaultAge
	}
	if c.Size == 0 {
		c.Size = defaultSize
	}
	if c.Sample == nil {
		c.Sample = func(*Meters) {}
	}
	in := &Insight{Meters: NewMeters(c.Now), config: c, done: make(chan struct{})}
	in.mu.Lock()
	defer in.mu.Unlock()
	in.timer = time.AfterFunc(untilNext(c.Now()), in.tick)
	return in
}

// untilNext is the time to the next multiple of Interval.
func untilNext(now time.Time) time.Duration {
	return now.Truncate(Interval).Add(Interval).Sub(now)
}

// tick makes a row and writes it.
func (in *Insight) tick() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return
	}
	in.record(in.config.Now())
	in.timer.Reset(untilNext(in.config.Now()))
}

// record makes the row that ends now. in.mu is held.
func (in *Insight) record(now time.Time) {
	in.config.Sample(in.Meters)
	at := now.Add(-Interval / 2).Truncate(Interval) // a timer may be late, or early by a little
	row := in.Snapshot(at)
	if n := len(in.recent); n > 0 && !in.recent[n-1].Time.Before(at) {
		row = mergeRows(in.recent[n-1].Time, []Row{in.recent[n-1], row})
		in.recent = in.recent[:n-1]
		if in.written.Equal(row.Time) {
			in.written = row.Time.Add(-1)
		}
	}
	in.recent = append(in.recent, row)
	if over := len(in.recent) - inMemory; over > 0 {
		in.recent = append([]Row(nil), in.recent[over:]...)
	}
	in.write(now)
}

// write writes the rows that are not in the file yet. in.mu is held.
func (in *Insight) write(now time.Time) {
	if in.config.File == "" {
		return
	}
	err := in.open()
	if err == nil {
		var rows []Row
		for _, r := range in.recent {
			if r.Time.After(in.written) {
				rows = append(rows, r)
			}
		}
		if err = in.history.put(now, rows); err == nil {
			in.written = in.recent[len(in.recent)-1].Time
		}
	}
	switch {
	case err != nil && in.failed == nil:
		in.config.Log.Warn("the history is not kept: the last hour is in memory alone until its file can be written", zap.String("path", in.config.File), zap.Error(err))
	case err == nil && in.failed != nil:
		in.config.Log.Info("the history is kept again", zap.String("path", in.config.File))
	}
	in.failed = err
}

// open opens the file the first time. in.mu is held.
func (in *Insight) open() error {
	if in.history != nil {
		return nil
	}
	h, err := openHistory(in.config.File, in.config.Age, in.config.Size)
	if err != nil {
		return fmt.Errorf("open the history: %w", err)
	}
	in.history = h
	return nil
}

// Failed returns why rows do not reach the file, nil while they do.
func (in *Insight) Failed() error {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.failed
}

// latest returns the last n rows of ten seconds, and why they do not reach the file.
func (in *Insight) latest(n int) ([]Row, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.recent[max(0, len(in.recent)-n):], in.failed
}

// errClosed ends reads of an Insight that is closed.
var errClosed = errors.New("the history is closed")

// rows calls f with rows between two times; see history.scan.
func (in *Insight) rows(from, to time.Time, step time.Duration, split bool, f func(Row)) error {
	in.mu.Lock()
	if in.closed {
		in.mu.Unlock()
		return errClosed
	}
	if in.history == nil && in.config.File != "" {
		_ = in.open() // write says why it cannot
	}
	h, recent, written := in.history, in.recent, in.written
	in.mu.Unlock()
	if h != nil {
		if err := h.scan(from, to, step, split, f); err != nil {
			return fmt.Errorf("read the history: %w", err)
		}
	}
	for _, r := range recent { // those that are not in the file
		if (h == nil || r.Time.After(written)) && !r.Time.Before(from) && r.Time.Before(to) {
			f(r)
		}
	}
	return nil
}

// Close writes what there is since the last row, if the file is open, and closes it.
func (in *Insight) Close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.closed {
		return
	}
	in.timer.Stop()
	if in.history != nil {
		in.record(in.config.Now())
	}
	in.closed = true
	close(in.done)
	if in.history != nil {
		if err := in.history.close(); err != nil {
			in.config.Log.Warn("the history could not be closed", zap.Error(err))
		}
	}
}
