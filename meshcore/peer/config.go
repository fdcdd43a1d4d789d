package peer

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Config is how an engine works. The zero value of a field means its default.
type Config struct {
	// ID is this peer's id.
	ID wire.PeerID
	// Seed makes the engine's draws repeatable.
	Seed uint64
	// Pass is shown to every neighbor, until Renewed brings another.
	Pass string
	// ReceiveOnly: give no chunks.
	ReceiveOnly bool
	// Neighbors is the number of neighbors it accepts; it looks for two thirds of
	// them itself. Default 24, at most 64.
	Neighbors int
	// UploadRate is the most it gives, in bytes a second; 0 is no limit.
	UploadRate float64
	// UploadRatio is the most it gives, as a multiple of what it received from
	// anywhere (and 4 MiB at the start); 0 is no limit.
	UploadRatio float64
	// RelayRate is the most it asks of neighbors that are reached over a relay, in bytes a
	// second; 0 is no limit.
	RelayRate float64
	// CacheBytes is how many bytes of segments it keeps; default 128 MiB.
	CacheBytes int64
	// BufferGoal is how far ahead of the playhead it takes segments of a VOD;
	// default 30 s. Of a live stream it takes all there is.
	BufferGoal time.Duration
	// OriginGoal is how far ahead of the playhead it takes segments of a VOD from
	// the origin that no neighbor has; default 10 s, at most BufferGoal.
	OriginGoal time.Duration
	// OriginRate is what is known of the origin's rate before its first answer, in
	// bytes a second: of answers before the engine was there, or from the engine of the
	// session before. Default 500,000.
	OriginRate float64
	// AnnounceInterval and ReportInterval are as the session says; defaults
	// 60 s and 10 s.
	AnnounceInterval, ReportInterval time.Duration
}

func (c Config) withDefaults() Config {
	if c.Neighbors <= 0 {
		c.Neighbors = 24
	}
	c.Neighbors = min(c.Neighbors, 64)
	if c.CacheBytes <= 0 {
		c.CacheBytes = 128 << 20
	}
	if c.BufferGoal <= 0 {
		c.BufferGoal = 30 * time.Second
	}
	if c.OriginGoal <= 0 {
		c.OriginGoal = 10 * time.Second
	}
	c.OriginGoal = min(c.OriginGoal, c.BufferGoal)
	if c.OriginRate <= 0 {
		c.OriginRate = startOrigin
	}
	if c.AnnounceInterval <= 0 {
		c.AnnounceInterval = 60 * time.Second
	}
	if c.ReportInterval <= 0 {
		c.ReportInterval = 10 * time.Second
	}
	return c
}

// The engine's constants. Times that depend on the stream are derived from the
// slack of a segment: the time from when it is known to its deadline.
const (
	tolerance       = 2 * time.Millisecond   // that tracks of one time differ by
	settle          = 8 * time.Millisecond   // inputs that come this close are planned together
	comingFor       = time.Second            // that a segment is waited for which a neighbor takes from the origin
	haveFraction    = 32                     // a have is sent at most every slack/haveFraction
	minHaveInterval = 50 * time.Millisecond  //
	maxHaveInterval = 400 * time.Millisecond //
	startRate       = 250e3                  // bytes/s that a neighbor is thought to give before it has
	startOrigin     = 500e3                  // the same of the origin
	startUplink     = 600e3                  // the same of our own uplink
	crowd           = 24                     // peers of a swarm that may be too many for its origin
	scarceTime      = time.Second            // that a segment takes of an origin that is not scarce, at most
	scarceFor       = 5 * time.Minute        // that an origin is taken for scarce without new evidence
	pipeline        = 500 * time.Millisecond // of a neighbor's rate is asked for at once
	remeasure       = 20 * time.Second       // after which the rate of a neighbor that gave nothing is not known any more
	maxQueue        = 800 * time.Millisecond // of our uplink is promised at once
	uploadWindow    = 128 << 10              // bytes handed to the driver and not yet sent, at most
	pressing        = time.Second            // a neighbor that needs a chunk within it is served before others
	startGoal       = 3 * time.Second        // from when a peer comes until its player is to begin, where the origin is scarce
	maxStrikes      = 3                      // timeouts in a row after which a neighbor is slow or silent
	maxMisses       = 2                      // announced chunks that were not there, after which it is dropped
	maxBusies       = 4                      // times that the wait is doubled which a busy neighbor asks for
	silence         = 15 * time.Second       // after which a silent neighbor is dropped, if the driver does not see that it is gone
	firstBackoff    = 30 * time.Second       // of a neighbor that was slow or could not be reached, doubled each time
	lastBackoff     = 8 * time.Minute        // the longest
	maxTable        = 2048                   // segments known at once, placeholders included
	joinPatience    = 4 * time.Second        // how long a peer without neighbors waits for the first
	hearing         = 500 * time.Millisecond // from when the first is there until we know what it has
	keepBehind      = 20 * time.Second       // of a live stream that was played is kept
	maxFetches      = 4                      // of one segment from the origin at once
	maxHeldOf       = 8 << 20                // unproven bytes of one neighbor that are kept
	maxHeld         = 32 << 20               // and of all
	maxUnknown      = 256                    // segments of one neighbor that are kept before a manifest lists them
	maxNeeded       = 4                      // segments that the player waits for at once
	announceFloor   = 2 * time.Second        // between two announces
	passFloor       = time.Second            // between two passes of one neighbor that are checked
)
