package gateway

import "time"

// A player takes the speed at which bytes reach it for what it can count on, and
// picks the bitrate by it. Bytes that lie here already therefore come as fast as
// they could be had if they did not: at the rate that was measured of the origin,
// on which the viewer can always fall back. meshcore/browser/www/delivery.js does
// the same.

const (
	// playing is how many times as fast as it plays a player gets a segment at
	// least, so that its buffer always grows.
	playing = 2
	// stepLength is the time between two pieces, and of what is made up for at most
	// when a piece came late.
	stepLength = 10 * time.Millisecond
	minPiece   = 2 << 10 // bytes
)

// rate is how fast the player gets a segment of some size, -1 if that is not
// known, in bytes a second.
func (e *entry) rate(size int64) float64 {
	rate := e.playlist.show.viewer.OriginRate()
	if size > 0 && e.duration > 0 {
		rate = max(rate, playing*float64(size)/e.duration.Seconds())
	}
	return rate
}

// piece is how many bytes are passed on at once at a rate.
func piece(rate float64) int { return max(minPiece, int(rate*stepLength.Seconds())) }

// pace is the pace of one response.
type pace struct {
	at time.Time // when what was passed on has come, at that rate
}

// take says how long to wait before n bytes are passed on, for the last of them to
// come at the rate. Time that the player or the mesh took is not made up for.
func (p *pace) take(now time.Time, n int, rate float64) time.Duration {
	if earliest := now.Add(-stepLength); p.at.Before(earliest) {
		if p.at.IsZero() {
			earliest = now
		}
		p.at = earliest
	}
	p.at = p.at.Add(time.Duration(float64(n) / rate * float64(time.Second)))
	return p.at.Sub(now)
}
