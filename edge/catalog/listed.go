package catalog

import (
	"sync/atomic"
	"time"
)

// Listed is a path that a playlist listed as a segment, a part or an init
// section. Its fields do not change once Catalog.Segment has returned it: a new
// listing makes a new Listed.
type Listed struct {
	Presentation *Presentation
	// Path is the escaped path.
	Path string
	// Query is the query that it was listed with.
	Query string
	// Ambiguous is set if it was listed with two queries, by one playlist or by two:
	// what they name may differ, so it is never shared.
	Ambiguous bool
	// Varies is set if one playlist listed it with another query before: for another
	// viewer, it seems.
	Varies bool
	// Ad is set if it is part of an advertisement.
	Ad bool
	// Ranges are the byte ranges that are listed; true where a key covers it.
	Ranges map[Range]bool
	// Hints are the ranges that a playlist hinted at and none has listed.
	Hints map[Range]bool

	withheld atomic.Bool
	at       time.Time // last listing
	by       string    // the playlist that listed it last
}

// Withhold notes that an answer was seen that may not be shared.
func (l *Listed) Withhold() { l.withheld.Store(true) }

// Withheld reports whether an answer was seen that may not be shared.
func (l *Listed) Withheld() bool { return l.withheld.Load() }

// add notes that the resource, or a byte range of it, is listed. What is listed
// twice is encrypted only if it is so each time.
func (l *Listed) add(r Range, encrypted bool) {
	before, twice := l.Ranges[r]
	l.Ranges[r] = encrypted && (!twice || before)
}

// merge adds what another playlist listed of the same resource.
func (l *Listed) merge(old *Listed) {
	for r, encrypted := range old.Ranges {
		l.add(r, encrypted)
	}
	l.Ambiguous = l.Ambiguous || old.Ambiguous || l.Query != old.Query
	l.Ad = l.Ad || old.Ad
}

// weight is what l counts against the bounds.
func (l *Listed) weight() int { return len(l.Ranges) + len(l.Hints) }

// listing is what one reading of a media playlist lists, by path and in order.
type listing struct {
	presentation *Presentation
	by           string // path of the playlist
	at           time.Time
	paths        map[string]*Listed
	order        []*Listed
}

// entry returns what stands for a path; the first time it makes it.
func (l *listing) entry(path, query string) *Listed {
	e := l.paths[path]
	if e == nil {
		e = &Listed{Presentation: l.presentation, Path: path, at: l.at, Query: query, by: l.by, Ranges: map[Range]bool{}}
		l.paths[path] = e
		l.order = append(l.order, e)
	}
	return e
}
