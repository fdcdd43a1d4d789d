package insight

import (
	"cmp"
	"slices"
	"time"

	"github.com/DataDog/sketches-go/ddsketch"
	"github.com/DataDog/sketches-go/ddsketch/mapping"
	"github.com/DataDog/sketches-go/ddsketch/store"
	"github.com/axiomhq/hyperloglog"
)

// Key names a cell.
type Key struct {
	Presentation string // host and path of its manifest
	Dimension    Dimension
	Value        string // "" where Dimension is Presentation
}

func (k Key) compare(o Key) int {
	return cmp.Or(cmp.Compare(k.Presentation, o.Presentation), cmp.Compare(k.Dimension, o.Dimension), cmp.Compare(k.Value, o.Value))
}

// Cell is what was counted of one key in one time. Cells of whole presentations have sketches.
type Cell struct {
	Key
	Counters
	startup  *ddsketch.DDSketch  // times to the first frame, in milliseconds; nil for none
	audience *hyperloglog.Sketch // of who watched; nil for nobody
}

// Row is what was counted from Time on, over the interval of its level. Its cells are sorted
// by key.
type Row struct {
	Time  time.Time
	Cells []Cell
}

// accuracy of percentiles, relative; precision of the audience, of which 2^-p/2 is the error.
const (
	accuracy  = 0.02
	precision = 11
)

// keyMapping is the same for all sketches, so that files need not hold it.
var keyMapping = func() mapping.IndexMapping {
	m, err := mapping.NewLogarithmicMapping(accuracy)
	if err != nil {
		panic("insight: " + err.Error()) // for accuracies outside 0 to 1
	}
	return m
}()

func newStartups() *ddsketch.DDSketch {
	return ddsketch.NewDDSketchFromStoreProvider(keyMapping, store.SparseStoreConstructor)
}

func newAudience() *hyperloglog.Sketch {
	s, err := hyperloglog.NewSketch(precision, true)
	if err != nil {
		panic("insight: " + err.Error()) // for precisions outside 4 to 18
	}
	return s
}

// mergeSketches adds the sketches of o to those of c, which owns its own.
func (c *Cell) mergeSketches(o *Cell) {
	if o.startup != nil {
		if c.startup == nil {
			c.startup = newStartups()
		}
		_ = c.startup.MergeWith(o.startup) // fails for another mapping
	}
	if o.audience != nil {
		if c.audience == nil {
			c.audience = newAudience()
		}
		_ = c.audience.Merge(o.audience) // fails for another precision
	}
}

// mergeRows returns one row of what rows, in the order of time, have counted.
func mergeRows(at time.Time, rows []Row) Row {
	cells := map[Key]*Cell{}
	for i := range rows {
		for j := range rows[i].Cells {
			from := &rows[i].Cells[j]
			to := cells[from.Key]
			if to == nil {
				to = &Cell{Key: from.Key}
				cells[from.Key] = to
			}
			to.grow(&from.Counters)
			to.mergeSketches(from)
		}
	}
	out := Row{Time: at, Cells: make([]Cell, 0, len(cells))}
	for _, c := range cells {
		out.Cells = append(out.Cells, *c)
	}
	slices.SortFunc(out.Cells, func(a, b Cell) int { return a.Key.compare(b.Key) })
	return out
}
