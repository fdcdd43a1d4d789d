package peer

import (
	"slices"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// player is what the engine knows of its player.
type player struct {
	rendition string
	number    uint64
	live      bool
	manifest  *Manifest
	wanted    []*segment // in playing order, from the playhead on
	playing   bool
	begun     bool          // it has played
	playAt    time.Duration // when the playhead was at playPos
	playPos   time.Duration
	newest    *segment      // the last of the manifest
	needed    []*segment    // what the player waits for, of each track
	waits     bool          // it plays nothing, for want of a segment
	widenAt   time.Duration // when the next segment of a VOD comes within BufferGoal
}

// playhead is where the player is now, in media time.
func (p *player) playhead(now time.Duration) time.Duration {
	if p.playing {
		return p.playPos + now - p.playAt
	}
	return p.playPos
}

// deadline is when the player needs a segment.
func (e *Engine) deadline(now time.Duration, s *segment) time.Duration {
	return min(s.needBy, now+s.Start-e.playhead(now))
}

// need notes that the player waits for a segment. It waits for one of each track at
// most, so that of what it has given up in the meantime the last few are left.
func (e *Engine) need(now time.Duration, s *segment, by time.Duration) {
	e.unneed(s)
	if len(e.needed) == maxNeeded {
		e.unneed(e.needed[0])
	}
	s.needBy, s.neededAt = by, now
	e.needed = append(e.needed, s)
}

// unneed notes that the player has a segment, or that it is gone.
func (e *Engine) unneed(s *segment) {
	s.needBy = never
	e.needed = slices.DeleteFunc(e.needed, func(x *segment) bool { return x == s })
}

func (e *Engine) onManifest(now time.Duration, m *Manifest) {
	switched := e.manifest == nil || m.Number != e.number
	if m.Wait > 0 {
		e.scarceUntil = now + scarceFor
	} else if e.originWait > 0 {
		e.scarceUntil = 0
	}
	e.originWait = m.Wait
	if m.Wait >= asideWait {
		e.farAt = now
	}
	e.manifest, e.rendition, e.number, e.live = m, m.Rendition, m.Number, m.Live
	for i := range m.Segments {
		in := &m.Segments[i]
		s := e.lookup(in.ID)
		if s != nil && s.known != 0 {
			continue
		}
		s = e.entry(in.ID)
		size := s.Size
		s.Segment = *in
		if s.Size == 0 {
			s.Size = size
		}
		s.known = max(now, 1)
		s.slack = e.deadline(now, s) - now
		s.fresh = !switched
		e.newest = s
	}
	e.refreshWanted(now)
	if switched {
		for _, n := range e.slots {
			if n != nil && n.up {
				e.send(n, wire.Message{Type: wire.Status, Flags: e.flags(), Rendition: e.number})
			}
		}
		e.announceAt = min(e.announceAt, max(now, e.announced+announceFloor/4))
	}
	e.dirty(now)
}

// refreshWanted lists what the player has still to play, up to its goal.
func (e *Engine) refreshWanted(now time.Duration) {
	for _, s := range e.wanted {
		s.wanted = false
	}
	e.wanted = e.wanted[:0]
	if e.manifest == nil {
		return
	}
	pos := e.playhead(now)
	e.widenAt = never
	for i := range e.manifest.Segments {
		in := &e.manifest.Segments[i]
		if in.Duration > 0 && (in.Start+in.Duration <= pos+tolerance || in.Start < e.manifest.From) {
			continue
		}
		if !e.live && in.Start > pos+e.cfg.BufferGoal {
			if e.playing {
				e.widenAt = now + in.Start - pos - e.cfg.BufferGoal
			}
			break
		}
		s := e.lookup(in.ID)
		if s == nil { // evicted in the meantime and wanted again: a seek back
			s = e.entry(in.ID)
			s.Segment = *in
			s.known, s.slack = max(now, 1), in.Start-pos
		}
		s.wanted = true
		e.wanted = append(e.wanted, s)
	}
}

// passPlayed takes out of wanted what the playhead has passed.
func (e *Engine) passPlayed(now time.Duration) {
	pos := e.playhead(now)
	i := 0
	for ; i < len(e.wanted); i++ {
		s := e.wanted[i]
		if s.Start+s.Duration > pos+tolerance || s.Duration == 0 {
			break
		}
		s.wanted = false
	}
	if i > 0 {
		e.wanted = append(e.wanted[:0], e.wanted[i:]...)
	}
	if !e.live && e.manifest != nil {
		e.refreshWanted(now)
	}
}
