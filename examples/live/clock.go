package live

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// clock says which segments are out at a time: it repeats a grid from an epoch on.
type clock struct {
	now    func() time.Time
	epoch  time.Time
	delay  time.Duration // from the end of a segment to its appearance
	window int           // segments in a playlist
	// grid is where segments end within the loop; the last is the length of the loop. All renditions publish on
	// it, so that their media sequences agree.
	grid []time.Duration
}

// sequence counts segments from the epoch. Segment n is segment n mod len(grid) of the presentation, in its turn
// n div len(grid).
type sequence = int64

// loop is how long one turn takes.
func (c *clock) loop() time.Duration { return c.grid[len(c.grid)-1] }

// split tells the turn and the place in the presentation of a segment.
func (c *clock) split(n sequence) (turn uint64, index int) {
	return uint64(n) / uint64(len(c.grid)), int(uint64(n) % uint64(len(c.grid)))
}

// published is when segment n appears: at its end on the grid, plus the delay.
func (c *clock) published(n sequence) time.Time {
	turn, index := c.split(n)
	return c.epoch.Add(time.Duration(turn)*c.loop() + c.grid[index] + c.delay)
}

// newest is the last segment published at a time, or -1 when there is none yet.
func (c *clock) newest(now time.Time) sequence {
	elapsed := now.Sub(c.epoch) - c.delay
	if elapsed < 0 {
		return -1
	}
	turn, rest := elapsed/c.loop(), elapsed%c.loop()
	n := sequence(turn) * sequence(len(c.grid))
	for _, end := range c.grid {
		if end > rest {
			break
		}
		n++
	}
	return n - 1
}

// listed is the first and the last segment in the playlists at a time; ok is false before the first one.
func (c *clock) listed(now time.Time) (first, last sequence, ok bool) {
	last = c.newest(now)
	return max(0, last-sequence(c.window)+1), last, last >= 0
}

// available tells whether segment n is served: from its publication until one window after it left the playlist.
func (c *clock) available(n sequence, now time.Time) bool {
	last := c.newest(now)
	return n >= 0 && n <= last && n > last-2*sequence(c.window)
}

// wait waits until the clock shows a time; it returns false if ctx ends before.
func (c *clock) wait(ctx context.Context, until time.Time) bool {
	for {
		left := until.Sub(c.now())
		if left <= 0 {
			return true
		}
		timer := time.NewTimer(left)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return false
		}
	}
}

// span is the length of n segments on average.
func (c *clock) span(n int) time.Duration {
	return c.loop() * time.Duration(n) / time.Duration(len(c.grid))
}

// segmentName is the last element of a segment's URL. Its number counts from the epoch, so it never comes again.
func segmentName(n sequence) string { return fmt.Sprintf("seg-%d.m4s", n) }

// segmentNumber reads the number of a segment's name in its one spelling, so that no two URLs name one segment.
func segmentNumber(file string) (sequence, bool) {
	digits, ok := strings.CutPrefix(file, "seg-")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSuffix(digits, ".m4s"), 10, 64)
	return n, err == nil && n >= 0 && segmentName(n) == file
}
