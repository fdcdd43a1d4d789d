package insight

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

const (
	// maxPoints bounds the intervals of an answer, and maxSpan what a query may ask for.
	maxPoints = 5000
	maxSpan   = 10 * 366 * 24 * time.Hour
)

// paramError says which parameter of a query is wrong, and what to write.
type paramError struct{ field, detail string }

func (e *paramError) Error() string { return e.field + " " + e.detail }

// parameters are those that queries have beside the dimensions.
var parameters = []string{"since", "from", "to", "interval", "split", "format"}

// parseQuery reads the parameters of a query at a time.
func parseQuery(v url.Values, now time.Time) (*query, error) {
	for name, values := range v {
		if _, dimension := dimensionOf(name); !dimension && !slices.Contains(parameters, name) {
			return nil, &paramError{name, "is no parameter; write one of " + strings.Join(parameters, ", ") + ", or a dimension to filter by: " + strings.Join(dimensionNames[:], ", ")}
		}
		if len(values) > 1 {
			return nil, &paramError{name, "is there twice; write it once"}
		}
	}
	q := &query{to: now}
	if err := q.parseRange(v); err != nil {
		return nil, err
	}
	if s := v.Get("split"); s != "" {
		d, ok := dimensionOf(s)
		if !ok {
			return nil, &paramError{"split", fmt.Sprintf("is %.32q; write one of %s", s, strings.Join(dimensionNames[:], ", "))}
		}
		q.split, q.splits = d, true
	}
	q.presentation = v.Get(Presentation.String())
	for d := Presentation + 1; d < dimensions; d++ {
		if !v.Has(d.String()) {
			continue
		}
		switch {
		case q.filter != Presentation:
			return nil, &paramError{d.String(), "comes beside " + q.filter.String() + "; filter by one dimension beside presentation"}
		case q.splits && q.split != Presentation && q.split != d:
			return nil, &paramError{d.String(), "comes beside split=" + q.split.String() + "; figures are kept for each dimension by itself: split by presentation, or filter by it alone"}
		}
		q.filter, q.value = d, v.Get(d.String())
	}
	return q, nil
}

// parseRange reads since, or from and to, and the interval.
func (q *query) parseRange(v url.Values) error {
	since := time.Hour
	if s := v.Get("since"); s != "" {
		if v.Has("from") {
			return &paramError{"since", "comes beside from; write one of them"}
		}
		d, err := parseSpan(s)
		if err != nil || d <= 0 || d > maxSpan {
			return &paramError{"since", fmt.Sprintf("is %.32q; write a time such as 90m, 6h or 30d", s)}
		}
		since = d
	}
	for _, f := range []struct {
		name string
		to   *time.Time
	}{{"to", &q.to}, {"from", &q.from}} {
		if s := v.Get(f.name); s != "" {
			t, err := time.Parse(time.RFC3339, s)
			if err != nil {
				return &paramError{f.name, fmt.Sprintf("is %.40q; write a time such as 2026-03-01T12:00:00Z (RFC 3339)", s)}
			}
			*f.to = t.UTC()
		}
	}
	if q.from.IsZero() {
		q.from = q.to.Add(-since)
	}
	span := q.to.Sub(q.from)
	if span <= 0 || span > maxSpan || q.from.Unix() < 0 {
		return &paramError{"from", "must be before to, and within ten years of it"}
	}
	q.step = stepFor(span)
	if s := v.Get("interval"); s != "" {
		d, err := parseSpan(s)
		if err != nil || d < Interval || d%Interval != 0 {
			return &paramError{"interval", fmt.Sprintf("is %.32q; write 10s or a multiple of it, such as 1m, 1h or 1d", s)}
		}
		if span/d > maxPoints {
			return &paramError{"interval", fmt.Sprintf("makes %d points of that range; write a longer one, for %d at most", span/d, maxPoints)}
		}
		q.step = d
	}
	q.from = q.from.Truncate(q.step)
	return nil
}

// stepFor is the interval for a range, for some 100 to 500 points.
func stepFor(span time.Duration) time.Duration {
	for _, s := range []time.Duration{Interval, time.Minute, 5 * time.Minute, time.Hour} {
		if span/s <= 500 {
			return s
		}
	}
	return 24 * time.Hour
}

// parseSpan reads a duration, which may be in days.
func parseSpan(s string) (time.Duration, error) {
	if n, ok := strings.CutSuffix(s, "d"); ok {
		d, err := time.ParseDuration(n + "h")
		if err != nil || d > maxSpan {
			return 0, fmt.Errorf("bad span %q", s)
		}
		return 24 * d, nil
	}
	return time.ParseDuration(s)
}
