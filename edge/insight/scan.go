package insight

import (
	"time"

	bolt "go.etcd.io/bbolt"
)

// scan calls f with rows that begin from one time on and before another, in the order of time, of the
// coarsest levels that a step allows, and of finer and coarser ones for what those do not have.
// Where split is set, rows need cells of all dimensions.
func (h *history) scan(from, to time.Time, step time.Duration, split bool, f func(Row)) error {
	return h.db.View(func(tx *bolt.Tx) error {
		best := seconds
		for l := range levels {
			if levels[l].every <= step && step%levels[l].every == 0 && !(levels[l].packed && split) {
				best = l
			}
		}
		if best == packedMinutes {
			best = minutes
		}
		return scanLevel(tx, best, from, to, split, f)
	})
}

// coarser and finer are where a level looks for what it does not have.
func coarser(l int, split bool) int {
	if l == minutes && split {
		return hours
	}
	return l + 1
}

func finer(l int) int {
	if l == hours {
		return minutes
	}
	return l - 1
}

func scanLevel(tx *bolt.Tx, l int, from, to time.Time, split bool, f func(Row)) error {
	if !from.Before(to) {
		return nil
	}
	first, _ := tx.Bucket([]byte(levels[l].bucket)).Cursor().First()
	if begin := timeOf(first); first == nil || from.Before(begin) {
		until := to
		if first != nil && begin.Before(to) {
			until = begin
		}
		if next := coarser(l, split); next < len(levels) {
			if err := scanOlder(tx, next, from, until, split, f); err != nil {
				return err
			}
		}
		if first == nil {
			return scanNewer(tx, l, from, to, split, f)
		}
	}
	done, err := eachRow(tx, l, from, to, f)
	if err != nil {
		return err
	}
	return scanNewer(tx, l, later(from, done), to, split, f)
}

// scanOlder reads coarser rows that lie wholly before a time.
func scanOlder(tx *bolt.Tx, l int, from, until time.Time, split bool, f func(Row)) error {
	if l >= len(levels) || !from.Before(until) {
		return nil
	}
	first, _ := tx.Bucket([]byte(levels[l].bucket)).Cursor().First()
	if begin := timeOf(first); first == nil || from.Before(begin) {
		before := until
		if first != nil && begin.Before(until) {
			before = begin
		}
		if err := scanOlder(tx, coarser(l, split), from, before, split, f); err != nil {
			return err
		}
	}
	_, err := eachRow(tx, l, from, until.Add(1-levels[l].every), f)
	return err
}

// scanNewer reads finer rows from a time on: those that have not been merged yet.
func scanNewer(tx *bolt.Tx, l int, from, to time.Time, split bool, f func(Row)) error {
	if l == seconds {
		return nil
	}
	next := finer(l)
	if newest := last(tx, l); !newest.IsZero() {
		end := newest.Add(levels[l].every)
		if levels[l].packed {
			end = newest.Add(time.Hour)
		}
		from = later(from, end)
	}
	done, err := eachRow(tx, next, from, to, f)
	if err != nil {
		return err
	}
	return scanNewer(tx, next, later(from, done), to, split, f)
}

// eachRow calls f with the rows of a level; done is the end of the last.
func eachRow(tx *bolt.Tx, l int, from, to time.Time, f func(Row)) (done time.Time, err error) {
	c := tx.Bucket([]byte(levels[l].bucket)).Cursor()
	seek := from
	if levels[l].packed {
		seek = from.Truncate(time.Hour)
	}
	for k, v := c.Seek(keyOf(seek)); k != nil && timeOf(k).Before(to); k, v = c.Next() {
		rows, err := decodeRows(v)
		if err != nil {
			continue // one damaged row hides no other
		}
		for _, r := range rows {
			if !r.Time.Before(from) && r.Time.Before(to) {
				f(r)
				done = r.Time.Add(levels[l].every)
			}
		}
	}
	return done, nil
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
