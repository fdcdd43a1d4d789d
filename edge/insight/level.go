package insight

import "time"

// level is one resolution of the history.
type level struct {
	bucket string // in the file
	every  time.Duration
	keep   time.Duration // 0: as long as the history
	// packed: rows stand in blocks of an hour, with cells of whole presentations alone and
	// without sketches, and rounded by 0.4 % at most.
	packed bool
}

// levels are the resolutions, the finest first. Minutes are kept whole for two days, and then
// packed, so that a year of them fits on a disk.
var levels = [...]level{
	{bucket: "10s", every: 10 * time.Second, keep: 2 * time.Hour},
	{bucket: "1m", every: time.Minute, keep: 48 * time.Hour},
	{bucket: "1m packed", every: time.Minute, packed: true},
	{bucket: "1h", every: time.Hour},
	{bucket: "1d", every: 24 * time.Hour},
}

const (
	seconds = iota
	minutes
	packedMinutes
	hours
	days
)

// merges are which level is merged into which.
var merges = [...]struct{ from, to int }{{seconds, minutes}, {minutes, hours}, {hours, days}}

// Interval is the finest interval of rows.
const Interval = 10 * time.Second
