package manifest

import "time"

// Whole is the Part of a Unit that is a segment.
const Whole = -1

// Unit is what is fetched and played in one piece: a part, where parts are listed,
// else a segment.
type Unit struct {
	Resource
	// Sequence is the media sequence number of the segment, Part the number of the
	// part in it, or Whole.
	Sequence int64
	Part     int
	// Start is on the timeline.
	Start, Duration  time.Duration
	Independent, Gap bool
	Init             *Resource
}

// End is where the unit ends.
func (u *Unit) End() time.Duration { return u.Start + u.Duration }

// Follows reports whether u is what to play after v, of the same playlist or one
// before. A whole segment follows parts of it that were not all it has.
func (u *Unit) Follows(v *Unit) bool {
	if u.Sequence == v.Sequence && u.Part == Whole {
		return v.Part != Whole && u.End() > v.End()+rounding
	}
	return u.Sequence > v.Sequence || (u.Sequence == v.Sequence && v.Part != Whole && u.Part > v.Part)
}

// rounding is what the sum of the durations of parts may differ from that of their
// segment.
const rounding = 20 * time.Millisecond

// Units places a playlist, as Place does, and returns what there is to play in it:
// if parts are asked for, these where they are listed, and behind the last
// segment those of the next.
func (t *Timeline) Units(p *Playlist, edge time.Duration, parts bool) []Unit {
	starts := t.Place(p, edge)
	units := make([]Unit, 0, len(starts))
	for i := range p.Segments {
		s := &p.Segments[i]
		if !parts || len(s.Parts) == 0 {
			units = append(units, Unit{Resource: s.Resource, Sequence: s.Sequence, Part: Whole,
				Start: starts[i], Duration: s.Duration, Independent: true, Gap: s.Gap, Init: s.Init})
			continue
		}
		units = appendParts(units, s.Parts, s.Sequence, starts[i], s.Init)
		// What rounding took from the parts is with the last.
		last := &units[len(units)-1]
		last.Duration = max(last.Duration, starts[i]+s.Duration-last.Start)
	}
	if parts && p.Low != nil && len(starts) > 0 {
		units = appendParts(units, p.Low.Tail, p.Sequence+int64(len(p.Segments)), t.End(), p.Low.TailInit)
	}
	return units
}

func appendParts(units []Unit, parts []Part, sequence int64, start time.Duration, init *Resource) []Unit {
	for i := range parts {
		p := &parts[i]
		units = append(units, Unit{Resource: p.Resource, Sequence: sequence, Part: i, Start: start, Duration: p.Duration,
			Independent: p.Independent, Gap: p.Gap, Init: init})
		start += p.Duration
	}
	return units
}
