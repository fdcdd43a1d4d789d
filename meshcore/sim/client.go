package sim

import (
	"time"

	"github.com/viewmesh/viewmesh/meshcore/peer"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// client is a viewer's engine as the simulator drives it: peer.Engine or a
// baseline.
type client interface {
	Step(now time.Duration, in *peer.Input) []peer.Effect
	NextDeadline() time.Duration
	Report() *signal.Report
}

// Policy is a kind of client.
type Policy string

// The policies.
const (
	Mesh         Policy = "viewmesh"      // peer.Engine
	WindowRandom Policy = "window-random" // see baseline.go
	OriginOnly   Policy = "origin-only"   // no peers at all
)

// originOnly takes each segment from the origin as soon as it is known, in
// order, one at a time, as players do.
type originOnly struct {
	manifest *peer.Manifest
	next     int64 // sequence of the next segment to ask for
	started  bool
	running  int
	pos      time.Duration
	goal     time.Duration
	at       time.Duration
	playing  bool
	wakeAt   time.Duration // when the next segment comes within the goal
	report   signal.Report
	out      []peer.Effect
}

func (c *originOnly) Step(now time.Duration, in *peer.Input) []peer.Effect {
	c.out = c.out[:0]
	switch in.Kind {
	case peer.ManifestIn:
		c.manifest = in.Manifest
	case peer.Play:
		c.pos, c.at, c.playing = in.Position, now, in.Playing
	case peer.OriginChunk:
		c.report.OriginBytes += in.Bytes
	case peer.OriginDone:
		c.running--
		c.report.OriginBytes += in.Bytes
		c.out = append(c.out, peer.Effect{Kind: peer.Complete, Segment: in.Segment})
	}
	if c.manifest == nil {
		return c.out
	}
	c.wakeAt = never
	pos := c.pos
	if c.playing {
		pos += now - c.at
	}
	for i := range c.manifest.Segments {
		s := &c.manifest.Segments[i]
		if c.running >= 1 {
			break
		}
		if c.goal > 0 && s.Start > pos+c.goal {
			if c.playing {
				c.wakeAt = now + s.Start - pos - c.goal
			}
			break
		}
		if (c.started && s.Sequence < c.next) || s.Start+s.Duration <= pos {
			continue
		}
		c.started, c.next = true, s.Sequence+1
		c.running++
		c.out = append(c.out, peer.Effect{Kind: peer.FetchOrigin, Segment: s.ID})
	}
	return c.out
}

func (c *originOnly) NextDeadline() time.Duration {
	if c.manifest == nil {
		return never
	}
	return c.wakeAt
}

func (c *originOnly) Report() *signal.Report { return &c.report }

const never = time.Duration(1<<63 - 1)
