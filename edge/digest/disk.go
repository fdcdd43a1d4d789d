package digest

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
)

const (
	// maxKept bounds how many digests a file has; those that were learned first go
	// first. One takes about a kilobyte.
	maxKept = 1 << 17
	// openWait is how long another process may hold the file.
	openWait = 200 * time.Millisecond
	// gather is how long digests are gathered for one write, and maxGathered how many
	// at most; what comes beyond is not kept.
	gather, maxGathered = 500 * time.Millisecond, 4096
)

var (
	bucketDigests = []byte("digests") // JSON of kept, by key
	bucketAge     = []byte("age")     // keys, by kept.Age
)

// Disk keeps digests in a file, so that a restart does not forget what caches and
// viewers still have statements of. It is opened with its first use. Of what has no
// validator it keeps nothing, for after a restart nothing tells its versions apart.
type Disk struct {
	path   string
	failed func(error)
	limit  int // digests in the file

	once sync.Once
	db   *bolt.DB // nil if the file cannot be opened
	done chan struct{}
	n    int // digests in the file; the writer's

	mu     sync.Mutex
	queue  chan kept
	closed bool
}

// kept is a digest in the file.
type kept struct {
	Key        string                   `json:"-"`
	Age        uint64                   `json:"age"`
	Size       int64                    `json:"size"`
	Root       [integrity.HashSize]byte `json:"root"`
	Hashes     []byte                   `json:"hashes"`
	Issued     time.Time                `json:"issued"`
	Validators []string                 `json:"validators"`
	Former     []version                `json:"former,omitempty"`
}

// NewDisk returns the digests in a file, which is made if there is none. failed is
// called at most once, if they are not kept. Close ends it.
func NewDisk(path string, failed func(error)) *Disk {
	return &Disk{path: path, failed: failed, limit: maxKept}
}

// ready reports whether the file is open, and opens it the first time.
func (d *Disk) ready() bool {
	if d == nil {
		return false
	}
	d.once.Do(func() {
		db, n, err := openFile(d.path)
		if err != nil {
			d.failed(fmt.Errorf("open %s: %w", d.path, err))
			return
		}
		d.n, d.db, d.queue, d.done = n, db, make(chan kept, maxGathered), make(chan struct{})
		go d.write()
	})
	return d.db != nil
}

// openFile opens a file, and returns how many digests it has. One that is damaged is
// put aside.
func openFile(path string) (db *bolt.DB, n int, err error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, 0, err
	}
	options := &bolt.Options{Timeout: openWait, FreelistType: bolt.FreelistMapType}
	db, err = bolt.Open(path, 0o600, options)
	if errors.Is(err, bolterrors.ErrInvalid) || errors.Is(err, bolterrors.ErrVersionMismatch) || errors.Is(err, bolterrors.ErrChecksum) {
		if err = os.Rename(path, path+".damaged"); err == nil {
			db, err = bolt.Open(path, 0o600, options)
		}
	}
	if err != nil {
		return nil, 0, err
	}
	err = db.Update(func(tx *bolt.Tx) error {
		for _, name := range [][]byte{bucketDigests, bucketAge} {
			b, err := tx.CreateBucketIfNotExists(name)
			if err != nil {
				return err
			}
			n = b.Stats().KeyN
		}
		return nil
	})
	if err != nil {
		return nil, 0, errors.Join(err, db.Close())
	}
	return db, n, nil
}

// get returns what is kept of a segment, or nil.
func (d *Disk) get(k Key) *known {
	if !d.ready() {
		return nil
	}
	var v kept
	found := false
	err := d.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketDigests).Get([]byte(k.String()))
		found = b != nil
		if !found {
			return nil
		}
		return json.Unmarshal(b, &v)
	})
	if err != nil || !found || len(v.Validators) == 0 {
		return nil
	}
	e := &known{key: k, issued: v.Issued, former: v.Former, validators: v.Validators, recalled: true}
	e.set(v.Size, v.Hashes, v.Root)
	return e
}

// put keeps what is known of a segment, unless too much waits to be written.
func (d *Disk) put(e *known) {
	if !d.ready() || e.validators[0] == "" {
		return
	}
	v := kept{Key: e.key.String(), Size: e.size, Root: e.root, Hashes: e.hashes, Issued: e.issued, Validators: e.validators, Former: e.former}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	select {
	case d.queue <- v:
	default:
	}
}

// forget forgets what is kept of a host. What waits to be written is written first.
func (d *Disk) forget(host string) {
	if !d.ready() {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return
	}
	select {
	case d.queue <- kept{Key: host + "/", Size: -1}:
	default:
	}
}

// write writes what comes, until the queue is closed.
func (d *Disk) write() {
	defer close(d.done)
	for v := range d.queue {
		batch := []kept{v}
		for end := time.After(gather); end != nil; {
			select {
			case v, more := <-d.queue:
				if !more {
					end = nil
				} else if batch = append(batch, v); len(batch) >= maxGathered {
					end = nil
				}
			case <-end:
				end = nil
			}
		}
		if err := d.db.Update(func(tx *bolt.Tx) error { return d.store(tx, batch) }); err != nil {
			d.failed(fmt.Errorf("write %s: %w", d.path, err))
			d.failed = func(error) {}
		}
	}
}

// store puts digests into the file, and lets the oldest go.
func (d *Disk) store(tx *bolt.Tx, batch []kept) error {
	digests, ages := tx.Bucket(bucketDigests), tx.Bucket(bucketAge)
	n := d.n
	tx.OnCommit(func() { d.n = n })
	for _, v := range batch {
		if v.Size < 0 {
			gone, err := drop(digests, ages, v.Key)
			if n -= gone; err != nil {
				return err
			}
			continue
		}
		if old := digests.Get([]byte(v.Key)); old == nil {
			n++
		} else {
			var before kept
			if err := json.Unmarshal(old, &before); err == nil {
				if err := ages.Delete(ageKey(before.Age)); err != nil {
					return err
				}
			}
		}
		var err error
		if v.Age, err = ages.NextSequence(); err != nil {
			return err
		}
		b, err := json.Marshal(v)
		if err != nil {
			return err
		}
		if err := digests.Put([]byte(v.Key), b); err != nil {
			return err
		}
		if err := ages.Put(ageKey(v.Age), []byte(v.Key)); err != nil {
			return err
		}
	}
	oldest := ages.Cursor()
	for ; n > d.limit; n-- {
		at, key := oldest.First()
		if at == nil {
			break
		}
		if err := digests.Delete(key); err != nil {
			return err
		}
		if err := oldest.Delete(); err != nil {
			return err
		}
	}
	return nil
}

// drop deletes the digests whose keys begin with a prefix.
func drop(digests, ages *bolt.Bucket, prefix string) (n int, err error) {
	c := digests.Cursor()
	for key, b := c.Seek([]byte(prefix)); bytes.HasPrefix(key, []byte(prefix)); key, b = c.Seek([]byte(prefix)) {
		var v kept
		if err := json.Unmarshal(b, &v); err == nil {
			if err := ages.Delete(ageKey(v.Age)); err != nil {
				return n, err
			}
		}
		if err := c.Delete(); err != nil {
			return n, err
		}
		n++
	}
	return n, nil
}

func ageKey(age uint64) []byte { return binary.BigEndian.AppendUint64(nil, age) }

// Close writes what waits and closes the file, once.
func (d *Disk) Close() {
	if d == nil {
		return
	}
	d.once.Do(func() {}) // it is not opened any more
	if d.db == nil {
		return
	}
	d.mu.Lock()
	before := d.closed
	if !before {
		d.closed = true
		close(d.queue)
	}
	d.mu.Unlock()
	<-d.done
	if before {
		return
	}
	if err := d.db.Close(); err != nil {
		d.failed(err)
	}
}
