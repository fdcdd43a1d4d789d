package insight

import (
	"slices"
	"sync"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/axiomhq/hyperloglog"
)

// maxCells bounds the cells in memory; beyond, a value counts as "other".
const maxCells = 20_000

// meter is the running count of one cell.
type meter struct {
	Key
	total, seen Counters // seen is total at the last snapshot
	viewers     int64    // sessions open now
	most        int64    // and at most since the last snapshot
	since       time.Time
	startup     *ddsketch.DDSketch
	audience    *hyperloglog.Sketch
	idle        int // snapshots without a change
}

// Meters count. They are safe for concurrent use.
type Meters struct {
	now func() time.Time

	mu       sync.Mutex
	cells    map[Key]*meter
	values   [dimensions]map[string]int // how many cells have a value
	sessions map[*Session]struct{}
}

// NewMeters makes meters; now is the clock.
func NewMeters(now func() time.Time) *Meters {
	m := &Meters{now: now, cells: map[Key]*meter{}, sessions: map[*Session]struct{}{}}
	for d := range m.values {
		m.values[d] = map[string]int{}
	}
	return m
}

// bounded returns a value as it counts. m.mu is held.
func (m *Meters) bounded(d Dimension, value string) string {
	most := MaxValue
	if d == Presentation {
		most = maxPresentation
	}
	value = clean(value, most)
	if value == Unknown || value == Other || m.values[d][value] > 0 {
		return value
	}
	if len(m.values[d]) >= d.bound() || len(m.cells) >= maxCells {
		return Other
	}
	return value
}

// cell returns the meter of a value of a dimension of a presentation, as m.bounded has
// returned both. m.mu is held.
func (m *Meters) cell(presentation string, d Dimension, value string) *meter {
	k := Key{presentation, d, value}
	if c := m.cells[k]; c != nil {
		c.idle = 0
		return c
	}
	c := &meter{Key: k, since: m.now()}
	m.cells[k] = c
	if d == Presentation {
		value = presentation
	}
	m.values[d][value]++
	return c
}

// Egress sets what the edge has sent of a presentation's segments in all.
func (m *Meters) Egress(presentation string, total int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k := Key{Presentation: clean(presentation, maxPresentation)}
	c := m.cells[k]
	if c == nil {
		if total == 0 {
			return
		}
		if m.bounded(Presentation, k.Presentation) == Other {
			return // its totals cannot be told from others'
		}
		c = m.cell(k.Presentation, Presentation, "")
	}
	if total < c.total[EgressBytes] { // it was forgotten and came back
		c.seen[EgressBytes] -= c.total[EgressBytes]
	}
	c.total[EgressBytes] = total
}

// Snapshot returns the growth of all cells since the last one, as a row of a time. Cells that
// have been idle for an hour of snapshots are let go.
func (m *Meters) Snapshot(at time.Time) Row {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for s := range m.sessions {
		s.watch(now)
	}
	row := Row{Time: at}
	for k, c := range m.cells {
		c.elapse(now)
		cell := Cell{Key: k, startup: c.startup, audience: c.audience}
		for i := range c.total {
			cell.Counters[i] = c.total[i] - c.seen[i]
		}
		cell.Counters[MaxViewers] = c.most
		c.seen, c.startup, c.audience, c.most = c.total, nil, nil, c.viewers
		if !cell.idle() {
			c.idle = 0
			row.Cells = append(row.Cells, cell)
		} else if c.idle++; c.idle > 360 {
			m.forget(c)
		}
	}
	slices.SortFunc(row.Cells, func(a, b Cell) int { return a.Key.compare(b.Key) })
	return row
}

// forget lets a cell go that no session uses. m.mu is held.
func (m *Meters) forget(c *meter) {
	delete(m.cells, c.Key)
	value := c.Value
	if c.Dimension == Presentation {
		value = c.Presentation
	}
	if m.values[c.Dimension][value]--; m.values[c.Dimension][value] <= 0 {
		delete(m.values[c.Dimension], value)
	}
}

// elapse counts the time that viewers have watched.
func (c *meter) elapse(now time.Time) {
	if d := now.Sub(c.since).Milliseconds(); d > 0 {
		c.total[ViewerMS] += d * c.viewers
		c.since = now
	}
}

// enter and leave count a session.
func (c *meter) enter(now time.Time) {
	c.elapse(now)
	c.viewers++
	c.most = max(c.most, c.viewers)
}

func (c *meter) leave(now time.Time) {
	c.elapse(now)
	c.viewers--
}
