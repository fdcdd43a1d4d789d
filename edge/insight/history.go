package insight

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

const (
	// fileWait is how long another process may hold the file.
	fileWait = 200 * time.Millisecond
	// shed is how many keys go at once from a file that is too large.
	shed = 48
)

// history keeps rows in a file. Each put is one transaction, which is on the disk when it
// returns (bbolt syncs), so that a crash loses what was not put yet and nothing else.
type history struct {
	db   *bolt.DB
	age  time.Duration // of the oldest row
	size int64         // of the file, at most, as far as old rows are what fills it
}

// openHistory opens a file, which is made if there is none. One that is damaged is put aside.
func openHistory(path string, age time.Duration, size int64) (*history, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	options := &bolt.Options{Timeout: fileWait, FreelistType: bolt.FreelistMapType}
	db, err := bolt.Open(path, 0o600, options)
	if errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrVersionMismatch) || errors.Is(err, bolterrors.ErrChecksum) {
		if err = os.Rename(path, path+".damaged"); err == nil {
			db, err = bolt.Open(path, 0o600, options)
		}
	}
	if err != nil {
		return nil, err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, l := range levels {
			if _, err := tx.CreateBucketIfNotExists([]byte(l.bucket)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, errors.Join(err, db.Close())
	}
	return &history{db: db, age: age, size: size}, nil
}

func (h *history) close() error { return h.db.Close() }

func keyOf(t time.Time) []byte { return binary.BigEndian.AppendUint64(nil, uint64(t.Unix())) }

func timeOf(key []byte) time.Time {
	if len(key) != 8 {
		return time.Time{}
	}
	return time.Unix(int64(binary.BigEndian.Uint64(key)), 0).UTC()
}

// put adds rows of ten seconds, merges what is complete by now, and lets old rows go.
func (h *history) put(now time.Time, rows []Row) error {
	return h.db.Update(func(tx *bolt.Tx) error {
		b := tx.Bucket([]byte(levels[seconds].bucket))
		b.FillPercent = 0.9 // keys only grow
		for _, r := range rows {
			if err := b.Put(keyOf(r.Time), encodeRows([]Row{r}, false)); err != nil {
				return err
			}
		}
		for _, m := range merges {
			if err := merge(tx, m.from, m.to, now); err != nil {
				return fmt.Errorf("merge rows of %s: %w", levels[m.to].bucket, err)
			}
		}
		if err := h.pack(tx, now); err != nil {
			return fmt.Errorf("pack rows: %w", err)
		}
		return h.expire(tx, now)
	})
}

// last returns the time of the newest row of a level, zero for none.
func last(tx *bolt.Tx, l int) time.Time {
	k, _ := tx.Bucket([]byte(levels[l].bucket)).Cursor().Last()
	return timeOf(k)
}

// merge makes the rows of a level that are complete at a time, and not there yet.
func merge(tx *bolt.Tx, from, to int, now time.Time) error {
	every := levels[to].every
	source := tx.Bucket([]byte(levels[from].bucket)).Cursor()
	start := last(tx, to)
	if start.IsZero() {
		k, _ := source.First()
		start = timeOf(k).Truncate(every)
	} else {
		start = start.Add(every)
	}
	if start.Unix() < 0 {
		return nil
	}
	for k, v := source.Seek(keyOf(start)); k != nil; {
		at := timeOf(k).Truncate(every)
		if at.Add(every).After(now) {
			return nil
		}
		var rows []Row
		for ; k != nil && timeOf(k).Before(at.Add(every)); k, v = source.Next() {
			more, err := decodeRows(v)
			if err != nil {
				continue // one damaged row costs no more than itself
			}
			rows = append(rows, more...)
		}
		b := tx.Bucket([]byte(levels[to].bucket))
		b.FillPercent = 0.9
		if err := b.Put(keyOf(at), encodeRows([]Row{mergeRows(at, rows)}, false)); err != nil {
			return err
		}
	}
	return nil
}

// pack packs the minutes of hours that have become old, an hour at a time.
func (h *history) pack(tx *bolt.Tx, now time.Time) error {
	b := tx.Bucket([]byte(levels[minutes].bucket))
	for {
		k, _ := b.Cursor().First()
		hour := timeOf(k).Truncate(time.Hour)
		if k == nil || hour.Add(time.Hour+levels[minutes].keep).After(now) {
			return nil
		}
		var rows []Row
		var keys [][]byte
		c := b.Cursor()
		for k, v := c.First(); k != nil && timeOf(k).Before(hour.Add(time.Hour)); k, v = c.Next() {
			keys = append(keys, append([]byte(nil), k...))
			more, err := decodeRows(v)
			if err != nil {
				continue
			}
			for _, r := range more {
				rows = append(rows, presentationsOf(r))
			}
		}
		to := tx.Bucket([]byte(levels[packedMinutes].bucket))
		to.FillPercent = 0.9
		if err := to.Put(keyOf(hour), encodeRows(rows, true)); err != nil {
			return err
		}
		for _, k := range keys {
			if err := b.Delete(k); err != nil {
				return err
			}
		}
	}
}

// presentationsOf returns the cells of whole presentations.
func presentationsOf(r Row) Row {
	out := Row{Time: r.Time}
	for _, c := range r.Cells {
		if c.Dimension == Presentation {
			out.Cells = append(out.Cells, c)
		}
	}
	return out
}

// expire lets rows go that are too old, and the oldest fine ones while the file is too large.
func (h *history) expire(tx *bolt.Tx, now time.Time) error {
	for l, lv := range levels {
		keep := lv.keep
		if keep == 0 || keep > h.age {
			keep = h.age
		}
		if l == minutes {
			keep = h.age // pack takes them before, if they are to stay
		}
		c := tx.Bucket([]byte(lv.bucket)).Cursor()
		for k, _ := c.First(); k != nil && timeOf(k).Before(now.Add(-keep)); k, _ = c.First() {
			if err := c.Delete(); err != nil {
				return err
			}
		}
	}
	stats := h.db.Stats()
	if used := tx.Size() - int64(stats.FreePageN+stats.PendingPageN)*int64(h.db.Info().PageSize); used <= h.size {
		return nil
	}
	for _, l := range [...]int{packedMinutes, hours, minutes, days} {
		c := tx.Bucket([]byte(levels[l].bucket)).Cursor()
		gone := 0
		for k, _ := c.First(); k != nil && gone < shed; k, _ = c.First() {
			if err := c.Delete(); err != nil {
				return err
			}
			gone++
		}
		if gone > 0 {
			return nil
		}
	}
	return nil
}
