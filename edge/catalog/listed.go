package catalog

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// Listed is a resource that a playlist listed as a segment, a part or an init
// section. Its fields do not change once Catalog.Segment has returned it: a new
// listing makes a new Listed.
type Listed struct {
	Presentation *Presentation
	// Name is what the resource is called on its host.
	manifest.Name
	// Ad is set if it is part of an advertisement.
	Ad bool
	// Ranges are the byte ranges that are listed; true where a key covers it.
	Ranges map[Range]bool
	// Hints are the ranges that a playlist hinted at and none has listed.
	Hints map[Range]bool

	withheld atomic.Bool
	at       time.Time   // last listing
	by       *playlist   // that listed it last; nil for a template
	also     []*playlist // that listed it before
}

// Is reports whether l goes by a name: what of its query the presentation has been
// seen not to depend on does not count.
func (l *Listed) Is(n manifest.Name) bool {
	if l.Path != n.Path {
		return false
	}
	return l.Query == n.Query || (n.Query != "" && l.Query == manifest.CanonicalQuery(n.Query, l.Presentation.Params(nil)))
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
	l.Ad = l.Ad || old.Ad
	for _, s := range append(old.also, old.by) {
		if s != nil && s != l.by && !slices.Contains(l.also, s) && len(l.also) < maxAlso {
			l.also = append(l.also, s)
		}
	}
	if old.Presentation != l.Presentation && old.Presentation.Stopped() {
		l.Withhold()
	}
}

// maxAlso is how many playlists are remembered that list one resource.
const maxAlso = 8

// weight is what l counts against the bounds.
func (l *Listed) weight() int { return len(l.Ranges) + len(l.Hints) }

// listing is what one reading of a media playlist lists, by name and in order.
type listing struct {
	presentation *Presentation
	at           time.Time
	names        map[manifest.Name]*Listed
	order        []*Listed
}

// entry returns what stands for a name; the first time it makes it.
func (l *listing) entry(n manifest.Name) *Listed {
	e := l.names[n]
	if e == nil {
		e = &Listed{Presentation: l.presentation, Name: n, at: l.at, Ranges: map[Range]bool{}}
		l.names[n] = e
		l.order = append(l.order, e)
	}
	return e
}
