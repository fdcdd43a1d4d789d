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

// origin is what the engine knows of the origin.
type origin struct {
	originRate  float64       // bytes/s
	originDelay time.Duration // to the first byte, about
	originDev   time.Duration // of the time it takes from what was expected
	measure     measure       // what the rate is known from
	usual       int64         // bytes of a segment, about
	fetches     int           // under way
	under       []*segment    // that they are of
	originWait  time.Duration // that the edge says a chunk waits there
	share       share         // of it in what comes
	farAt       time.Duration // when the edge last said that a chunk waits there for asideWait or longer
	asideUntil  time.Duration // until when this peer does not cooperate
	scarceUntil time.Duration // until when it is taken for one that cannot serve all who ask
}

func newOrigin(rate float64) origin {
	return origin{originRate: rate, originDelay: 100 * time.Millisecond, originDev: 50 * time.Millisecond}
}

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
func (o *origin) learnOrigin(now time.Duration, in *Input) {
	if in.Bytes < minAnswer {
		return
	}
	all, wait := in.Within+in.Took, min(in.Within, maxLate)
	late := min(max(0, all-o.originTime(in.Bytes)), maxLate)
	if !o.measure.known {
		o.originDev = min(all/4, maxLate)
		if wait > 0 {
			o.originDelay = wait
		}
	} else {
		if late > o.originDev {
			o.originDev += (late - o.originDev) / 2
		} else {
			o.originDev += (late - o.originDev) / 8
		}
		if wait > 0 {
			o.originDelay += (wait - o.originDelay) / 8
		}
	}
	o.originRate = o.measure.learn(now, in)
	if now < o.scarceUntil && o.originWait == 0 && o.originTime(o.usual) < scarceTime {
		o.scarceUntil = 0
	}
}

// originTime is how long the origin needs for bytes, from what was measured.
func (o *origin) originTime(bytes int64) time.Duration {
	return o.originDelay + time.Duration(float64(bytes)/o.originRate*float64(time.Second))
}

// scarce reports that the origin is taken for one that cannot serve all who ask.
func (o *origin) scarce(now time.Duration) bool { return now < o.scarceUntil }
