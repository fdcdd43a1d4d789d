package peer

import "time"

const (
	minAnswer = 4 << 10          // bytes of an answer from which the engine learns
	minTook   = time.Millisecond // that they take at least, and
	burst     = 16               // of the time to the first byte this part
	fade      = 0.7              // of what was measured before counts when an answer comes
	stretch   = time.Second      // for so long answers that overlap are taken together
	maxLate   = 2 * time.Second  // that an answer is believed to be late
)

// measure is what the origin's rate is known from: the bytes of its answers and the
// time in which they came, both fading. Their quotient weighs an answer by its time,
// as players' estimates do: a small one that comes in one burst says little. Answers
// that come at the same time may have shared the way here, or each have been as fast as
// its connection can be: what an answer has in common with others counts half.
type measure struct {
	known bool          // there was an answer
	bytes float64       // before this stretch
	took  float64       // s
	now   float64       // bytes of this stretch
	span  time.Duration // its time
	until time.Duration // when the last answer ended
}

// learn takes an answer that is over now, and gives the rate in bytes a second.
func (m *measure) learn(now time.Duration, in *Input) float64 {
	took := max(in.Took, in.Within/burst, minTook)
	common := time.Duration(0)
	if m.known {
		common = max(0, m.until-(now-took))
	}
	if common == 0 || m.span >= stretch {
		m.bytes, m.took = float64(fade*(m.bytes+m.now)), float64(fade*(m.took+m.span.Seconds()))
		m.now, m.span = 0, 0
	}
	m.known, m.until = true, now
	m.now += float64(in.Bytes)
	m.span += took - common/2
	return (m.bytes + m.now) / (m.took + m.span.Seconds())
}

// learnOrigin takes an answer of the origin into the estimates: the first as it is.
// The deviation is how much later than expected the end came; it grows at once and
// fades slowly (compare RFC 6298).
func (e *Engine) learnOrigin(now time.Duration, in *Input) {
	if in.Bytes < minAnswer {
		return
	}
	all, wait := in.Within+in.Took, min(in.Within, maxLate)
	late := min(max(0, all-e.originTime(in.Bytes)), maxLate)
	if !e.measure.known {
		e.originDev = min(all/4, maxLate)
		if wait > 0 {
			e.originDelay = wait
		}
	} else {
		if late > e.originDev {
			e.originDev += (late - e.originDev) / 2
		} else {
			e.originDev += (late - e.originDev) / 8
		}
		if wait > 0 {
			e.originDelay += (wait - e.originDelay) / 8
		}
	}
	e.originRate = e.measure.learn(now, in)
}

// originTime is how long the origin needs for bytes, from what was measured.
func (e *Engine) originTime(bytes int64) time.Duration {
	return e.originDelay + time.Duration(float64(bytes)/e.originRate*float64(time.Second))
}
