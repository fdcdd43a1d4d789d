package live

import (
	"math/bits"
	"time"
)

// sequence counts segments from the epoch. Segment n is segment n mod len(grid) of the presentation, in its turn
// n div len(grid).
type sequence = int64

// loop is how long one turn takes.
func (o *Origin) loop() time.Duration { return o.grid[len(o.grid)-1] }

// split tells the turn and the place in the presentation of a segment.
func (o *Origin) split(n sequence) (turn uint64, index int) {
	return uint64(n) / uint64(len(o.grid)), int(uint64(n) % uint64(len(o.grid)))
}

// published is when segment n appears: at its end on the grid, plus the delay.
func (o *Origin) published(n sequence) time.Time {
	turn, index := o.split(n)
	return o.epoch.Add(time.Duration(turn)*o.loop() + o.grid[index] + o.delay)
}

// newest is the last segment published at a time, or -1 when there is none yet.
func (o *Origin) newest(now time.Time) sequence {
	elapsed := now.Sub(o.epoch) - o.delay
	if elapsed < 0 {
		return -1
	}
	turn, rest := elapsed/o.loop(), elapsed%o.loop()
	n := sequence(turn) * sequence(len(o.grid))
	for _, end := range o.grid {
		if end > rest {
			break
		}
		n++
	}
	return n - 1
}

// listed is the first and the last segment in the playlists at a time; ok is false before the first one.
func (o *Origin) listed(now time.Time) (first, last sequence, ok bool) {
	last = o.newest(now)
	return max(0, last-sequence(o.window)+1), last, last >= 0
}

// available tells whether segment n is served: from its publication until one window after it left the playlist.
func (o *Origin) available(n sequence, now time.Time) bool {
	last := o.newest(now)
	return n >= 0 && n <= last && n > last-2*sequence(o.window)
}

// at converts ticks of the track to time, exact to the nanosecond below.
func (t track) at(ticks uint64) time.Duration {
	scale := uint64(t.timescale)
	return time.Duration(ticks/scale)*time.Second + time.Duration(ticks%scale*uint64(time.Second)/scale)
}

// sameLength compares the lengths of two tracks exactly, whatever their timescales.
func sameLength(a, b track) bool {
	ah, al := bits.Mul64(a.length, uint64(b.timescale))
	bh, bl := bits.Mul64(b.length, uint64(a.timescale))
	return ah == bh && al == bl
}
