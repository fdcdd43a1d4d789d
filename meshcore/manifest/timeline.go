package manifest

import "time"

// Timeline puts the segments of a media playlist on a continuous timeline that
// stays the same over reloads. A playlist that has ended begins at 0. A live one
// begins at its first program date time, counted from 1970, so that all viewers
// agree; without one at the live edge that the caller gives, or else at the
// media sequence times the target duration.
type Timeline struct {
	placed bool
	first  int64           // media sequence of starts[0]
	starts []time.Duration // of the last playlist, and the end of its last segment
	at     time.Time       // program date time of the first of them
}

// Place returns the start of each segment of p. edge, if not 0, is where another
// playlist of the same presentation ends now.
func (t *Timeline) Place(p *Playlist, edge time.Duration) []time.Duration {
	starts := make([]time.Duration, len(p.Segments)+1)
	for i, s := range p.Segments {
		starts[i+1] = starts[i] + s.Duration
	}
	base := t.base(p, starts[len(p.Segments)], edge)
	for i := range starts {
		starts[i] += base
	}
	if len(p.Segments) > 0 {
		t.placed, t.first, t.starts, t.at = true, p.Segments[0].Sequence, starts, p.Segments[0].At
	}
	return starts[:len(p.Segments)]
}

// End is where the last segment placed ends.
func (t *Timeline) End() time.Duration {
	if !t.placed {
		return 0
	}
	return t.starts[len(t.starts)-1]
}

// base is the start of the first segment of p, whose segments last length.
func (t *Timeline) base(p *Playlist, length, edge time.Duration) time.Duration {
	if len(p.Segments) == 0 {
		return 0
	}
	first := &p.Segments[0]
	if t.placed {
		for i, s := range p.Segments {
			at := s.Sequence - t.first
			if at < 0 || at >= int64(len(t.starts)) {
				continue
			}
			start := t.starts[at]
			for _, before := range p.Segments[:i] {
				start -= before.Duration
			}
			return start
		}
		// All segments in between were missed.
		if !t.at.IsZero() && !first.At.IsZero() {
			return t.starts[0] + first.At.Sub(t.at)
		}
		missed := max(0, first.Sequence-t.first-int64(len(t.starts)-1)) // the stream may have begun anew
		return t.End() + time.Duration(missed)*p.Target
	}
	switch {
	case p.Ended:
		return 0
	case !first.At.IsZero():
		return time.Duration(first.At.UnixNano())
	case edge != 0:
		return edge - length
	}
	return time.Duration(first.Sequence) * p.Target
}
