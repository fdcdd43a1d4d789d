package insight

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// query is a question to the history.
type query struct {
	from, to time.Time
	step     time.Duration
	host     string // "": all
	// presentation, and one value of one dimension beside it, are what is asked about; ""
	// and Presentation stand for all.
	presentation string
	filter       Dimension
	value        string
	split        Dimension
	splits       bool // by split; else all is one group
}

// wants reports whether a cell counts, and in which group.
func (q *query) wants(c *Cell) (group string, ok bool) {
	if q.host != "" && !strings.HasPrefix(c.Presentation, q.host+"/") || q.presentation != "" && c.Presentation != q.presentation {
		return "", false
	}
	d := q.filter
	if q.splits && q.split != Presentation {
		d = q.split
	}
	switch {
	case c.Dimension != d, q.filter != Presentation && c.Value != q.value:
		return "", false
	case q.splits && q.split == Presentation:
		return c.Presentation, true
	case q.splits:
		return c.Value, true
	}
	return "", true
}

// group gathers the cells of one group.
type group struct {
	whole  Cell
	points map[int64]*Cell // by Unix time
}

// run answers a query.
func (q *query) run(in *Insight) (map[string]*group, error) {
	groups := map[string]*group{}
	split := q.filter != Presentation || q.splits && q.split != Presentation
	err := in.rows(q.from, q.to, q.step, split, func(r Row) {
		at := r.Time.Truncate(q.step).Unix()
		now := map[string]*Counters{}
		for i := range r.Cells {
			c := &r.Cells[i]
			name, ok := q.wants(c)
			if !ok {
				continue
			}
			g := groups[name]
			if g == nil {
				g = &group{whole: Cell{Key: Key{Dimension: c.Dimension}}, points: map[int64]*Cell{}}
				groups[name] = g
			}
			p := g.points[at]
			if p == nil {
				p = &Cell{Key: g.whole.Key}
				g.points[at] = p
			}
			if now[name] == nil {
				now[name] = &Counters{}
			}
			now[name].beside(&c.Counters)
			p.mergeSketches(c)
			g.whole.mergeSketches(c)
		}
		for name, c := range now {
			groups[name].points[at].grow(c)
			groups[name].whole.grow(c)
		}
	})
	return groups, err
}

// Point is one interval of a series.
type Point struct {
	Time time.Time `json:"time"`
	Figures
}

// Group is what a value of the dimension that figures are split by comes to.
type Group struct {
	// Value is "" where figures are not split.
	Value string `json:"value"`
	Figures
	Points []Point `json:"points,omitempty"`
}

// answer returns the groups of a query, those with most bytes first, and their points if
// series is set.
func (q *query) answer(groups map[string]*group, series bool) []Group {
	out := []Group{}
	for name, g := range groups {
		a := Group{Value: name, Figures: figuresOf(&g.whole, q.to.Sub(q.from))}
		var all, egress, without []int64
		for at := q.from.Truncate(q.step); at.Before(q.to); at = at.Add(q.step) {
			p := g.points[at.Unix()]
			if p == nil {
				p = &Cell{Key: g.whole.Key}
			}
			taken := bps(p.Counters[PeerBytes]+p.Counters[OriginBytes], q.step)
			sent := bps(p.Counters[EgressBytes], q.step)
			all, egress = append(all, taken), append(egress, sent)
			without = append(without, sent+bps(p.Counters[PeerBytes], q.step))
			if series && g.points[at.Unix()] != nil {
				a.Points = append(a.Points, Point{at, pointOf(p, q.step)})
			}
		}
		if len(all) > 0 {
			a.BandwidthMax = slices.Max(all)
		}
		a.BandwidthP95, a.EgressP95, a.WithoutP95 = percentile95(all), percentile95(egress), percentile95(without)
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.PeerBytes+b.OriginBytes, a.PeerBytes+a.OriginBytes), cmp.Compare(a.Value, b.Value))
	})
	return out
}

// pointOf returns the figures of one interval, of which all bandwidths are the same.
func pointOf(c *Cell, step time.Duration) Figures {
	f := figuresOf(c, step)
	f.BandwidthMax, f.BandwidthP95 = f.BandwidthAverage, f.BandwidthAverage
	f.EgressP95 = bps(c.Counters[EgressBytes], step)
	f.WithoutP95 = f.EgressP95 + bps(c.Counters[PeerBytes], step)
	return f
}
