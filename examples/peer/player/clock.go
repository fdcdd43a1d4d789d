package player

import "time"

// advance moves the playhead to now: it starts, stalls and goes on as the buffer
// has it. It returns when to be called again at the latest, and whether all was
// played.
func (p *Player) advance(now time.Time) (next time.Duration, over bool) {
	if !p.ready {
		return time.Hour, false
	}
	pos := p.position(now)
	until, ended := p.buffered(p.pos)
	if p.playing {
		if pos >= until {
			pos = until
		}
		p.played += pos - p.pos
		p.pos, p.at = pos, now
		p.pass(pos)
		if pos >= until-step {
			p.playing = false
			if ended {
				p.report(now, 0)
				return 0, true
			}
			p.haltedAt = now
			p.quality.Stalls++
			p.viewer.Play(pos, false)
		}
	}
	if !p.playing {
		p.skip(now)
		until, ended = p.buffered(p.pos)
		more := until >= p.pos+enough || (until > p.pos+step && (ended || p.blocked(until)))
		if more && p.initialized() {
			p.resume(now)
		} else if ended && p.started {
			p.report(now, 0)
			return 0, true
		}
	}
	p.report(now, until-p.pos)
	if p.playing {
		return min(until-p.pos, time.Second), false
	}
	return time.Second, false
}

// resume starts the playhead.
func (p *Player) resume(now time.Time) {
	if p.started {
		p.stalled += now.Sub(p.haltedAt)
	} else {
		p.started = true
		p.quality.StartupMS = max(1, now.Sub(p.came).Milliseconds())
	}
	p.playing, p.at = true, now
	p.viewer.Play(p.pos, true)
}

func (p *Player) initialized() bool {
	for _, t := range p.tracks {
		if !t.initOK {
			return false
		}
	}
	return true
}

// buffered is up to where all tracks can be played from pos on; ended says that
// this is the end of the presentation.
func (p *Player) buffered(pos time.Duration) (until time.Duration, ended bool) {
	ended = true
	for i, t := range p.tracks {
		end, last := p.bufferedOf(t, pos)
		if i == 0 || end < until {
			until = end
		}
		ended = ended && last
	}
	return until, ended
}

func (p *Player) bufferedOf(t *track, pos time.Duration) (until time.Duration, last bool) {
	until = pos
	for i := range t.segments {
		s := &t.segments[i]
		if s.End() <= until+step {
			continue
		}
		if s.Start > until+step || !p.whole(s) {
			return until, false
		}
		until = s.End()
	}
	// A track may end a little before the others.
	n := len(t.segments)
	last = t.playlist.Ended && n > 0 && until >= t.segments[n-1].End()-step
	return until, last
}

// pass hands out what the playhead has passed.
func (p *Player) pass(pos time.Duration) {
	for _, t := range p.tracks {
		for i := range t.segments {
			s := &t.segments[i]
			if s.End() > pos+step {
				break
			}
			if s.played {
				continue
			}
			s.played = true
			if p.cfg.Played == nil || s.Gap {
				continue
			}
			if g := p.viewer.Store().Lookup(s.id); g != nil {
				if data := g.Bytes(); data != nil {
					p.cfg.Played(s.Resource, data)
				}
			}
		}
	}
}

// skip moves a playhead that stands still past what will not come: a segment
// that has left a live playlist, or one that the origin does not deliver.
func (p *Player) skip(now time.Time) {
	for _, t := range p.tracks {
		s := t.next(p.pos)
		if s == nil || p.whole(s) {
			continue
		}
		waited := now.Sub(p.haltedAt)
		switch {
		case p.live && s.Sequence < t.playlist.Segments[0].Sequence:
			p.jump(p.startAt(), now)
			return
		case p.stopped(s) && waited > max(minPatience, patience*t.playlist.Target):
			p.log.Warn("skipping a segment that the origin does not deliver", "url", s.URL.String())
			p.jump(s.End(), now)
			return
		}
	}
}

// blocked says whether what comes at pos is a segment that the origin has failed to
// deliver, so that there is no use in waiting for more.
func (p *Player) blocked(pos time.Duration) bool {
	for _, t := range p.tracks {
		if s := t.next(pos); s != nil && !p.whole(s) && p.stopped(s) {
			return true
		}
	}
	return false
}

// next is the segment that plays at pos, or the first after it.
func (t *track) next(pos time.Duration) *segment {
	for i := range t.segments {
		if s := &t.segments[i]; s.End() > pos+step {
			return s
		}
	}
	return nil
}

func (p *Player) jump(to time.Duration, now time.Time) {
	if to <= p.pos {
		return
	}
	for _, t := range p.tracks { // what is jumped over is not played
		for i := range t.segments {
			if s := &t.segments[i]; s.End() <= to+step {
				s.played = true
			}
		}
	}
	if p.started {
		p.stalled += now.Sub(p.haltedAt)
	}
	p.haltedAt = now
	p.pos = to
	p.viewer.Play(to, false)
}

// report tells the viewer how it goes.
func (p *Player) report(now time.Time, buffer time.Duration) {
	stalled := p.stalled
	if p.started && !p.playing {
		stalled += now.Sub(p.haltedAt)
	}
	p.quality.StallMS = stalled.Milliseconds()
	p.quality.PlayedMS = p.played.Milliseconds()
	p.quality.BufferMS = max(0, buffer.Milliseconds())
	p.viewer.SetQuality(p.quality)
}
