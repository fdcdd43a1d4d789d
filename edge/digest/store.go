package digest

import (
	"encoding/base64"
	"fmt"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

const (
	// maxBytes bounds the memory of a store.
	maxBytes = 64 << 20
	// TokenLife is the step to which the expiries of segment tokens are rounded, so
	// that a token is the same for every viewer: it is valid for one to two steps.
	TokenLife = 12 * time.Hour
	// maxValidators is how many validators of the same bytes are remembered (two
	// servers behind one name often send different ETags).
	maxValidators = 4
	// maxDigesters is how many responses of one segment are digested at once, so
	// that one slow viewer does not keep the others waiting for the statement.
	maxDigesters = 4
	// Each of the first sureChecks responses is digested, then one in checkEvery, to
	// notice when viewers get different bytes.
	sureChecks, checkEvery = 4, 8
)

// Key names a segment: a resource of a host, or a byte range of it. Length 0
// means the whole resource.
type Key struct {
	Host string // lower case
	manifest.Name
	Offset, Length int64 // bytes
}

// String returns the key as one string.
func (k Key) String() string {
	return fmt.Sprintf("%s%s@%d+%d", k.Host, k.Name, k.Offset, k.Length)
}

// version is a version of a segment that another one has replaced.
type version struct {
	Root       [integrity.HashSize]byte `json:"root"`
	Validators []string                 `json:"validators"`
	Until      time.Time                `json:"until"`
}

// alternating is how soon a version must come back to be another viewer's rather than
// the next of a packager that uses a name again.
const alternating = time.Minute

// known is what the store knows of the bytes of one segment.
type known struct {
	key        Key
	size       int64
	root       [integrity.HashSize]byte
	hashes     []byte
	issued     time.Time // since when it has these bytes
	validators []string  // with which these bytes came
	former     []version // before this one
	checks     int       // responses that were digested
	seen       int       // responses since
	recalled   bool      // from the disk, and not seen since

	token  string // signed by keys, rounded expiry
	expiry time.Time
	keys   *tokens.Keyring
	digest string // value of Mesh-Digests
}

// Store keeps digests and statements in memory, at most 64 MiB of them; the least
// recently used go first. What it does not have it looks for on the disk. It is safe
// for concurrent use.
type Store struct {
	disk *Disk

	mu        sync.Mutex
	entries   *simplelru.LRU[Key, *known]
	bytes     int
	digesters map[Key]int // at work
	files     singleflight.Group
}

// NewStore returns a store that keeps what it learns on a disk, too; nil for memory
// alone.
func NewStore(disk *Disk) *Store {
	entries, err := simplelru.NewLRU[Key, *known](math.MaxInt, nil) // bounded by bytes
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &Store{disk: disk, entries: entries, digesters: map[Key]int{}}
}

// Headers returns the values of Mesh-Segment and Mesh-Digests for a response of
// this validator and size, 0 if it does not tell, signed by keys; ok is false if
// its digest is unknown.
func (s *Store) Headers(k Key, size int64, validator string, keys *tokens.Keyring, now time.Time) (token, digests string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.get(k)
	if !ok || (e.size != size && size != 0) || !slices.Contains(e.validators, validator) || e.sign(keys, now) != nil {
		return "", "", false
	}
	return e.token, e.digest, true
}

// Newest returns the segment token and the chunk hashes of the newest version of
// a segment; ok is false if none is known.
func (s *Store) Newest(k Key, keys *tokens.Keyring, now time.Time) (token string, hashes []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.get(k)
	if !ok || e.sign(keys, now) != nil {
		return "", nil, false
	}
	return e.token, e.hashes, true
}

// Forget forgets all that is known of a host.
func (s *Store) Forget(host string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.entries.Keys() {
		if e, ok := s.entries.Peek(k); ok && k.Host == host {
			s.entries.Remove(k)
			s.bytes -= e.weight()
		}
	}
	s.disk.forget(host)
}

// get returns what is known of a segment, on the disk if not in memory. s.mu is
// held.
func (s *Store) get(k Key) (*known, bool) {
	if e, ok := s.entries.Get(k); ok {
		return e, true
	}
	e := s.disk.get(k)
	if e == nil {
		return nil, false
	}
	s.add(e)
	return e, true
}

// add puts an entry into memory. s.mu is held.
func (s *Store) add(e *known) {
	s.entries.Add(e.key, e)
	s.bytes += e.weight()
	for s.bytes > maxBytes && s.entries.Len() > 1 {
		_, oldest, _ := s.entries.RemoveOldest()
		s.bytes -= oldest.weight()
	}
}

// Differs reports whether another digest of a segment than root is known.
func (s *Store) Differs(k Key, root [integrity.HashSize]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.entries.Peek(k)
	return ok && e.root != root
}

// Claim reports whether a response is to be digested while it passes; size is 0 if
// it is unknown. Of many responses with known bytes some are, or all if every is
// set. Each granted claim needs one Release.
func (s *Store) Claim(k Key, size int64, validator string, every bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if size > integrity.MaxSegment || (!every && s.digesters[k] >= maxDigesters) {
		return false
	}
	if e, ok := s.entries.Peek(k); ok && !every {
		if (e.size == size || size == 0) && slices.Contains(e.validators, validator) && e.checks >= sureChecks {
			if e.seen++; e.seen%checkEvery != 0 {
				return false
			}
		}
	}
	s.digesters[k]++
	return true
}

// Release ends a claim.
func (s *Store) Release(k Key) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.digesters[k]--; s.digesters[k] <= 0 {
		delete(s.digesters, k)
	}
}

// Learn takes the digest of bytes that were served whole. conflict says, for the
// log, that viewers get different bytes at one URL: two digests under one
// validator, or a version that had been replaced and comes back under its validator
// or within a minute. It is empty otherwise. A version with a new validator replaces
// the one before.
func (s *Store) Learn(k Key, size int64, validator string, hashes []byte, root [integrity.HashSize]byte, now time.Time) (conflict string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.get(k)
	if !ok {
		e = &known{key: k}
	} else {
		recalled := e.recalled
		e.recalled = false
		switch {
		case e.root == root:
			e.checks++
			if !slices.Contains(e.validators, validator) && len(e.validators) < maxValidators {
				e.validators = append(slices.Clip(e.validators), validator)
				s.disk.put(e)
			}
			return ""
		case recalled: // of another process, whose upstream may have been another
			e.former = nil
		case slices.Contains(e.validators, validator) && e.size == size:
			return fmt.Sprintf("two digests of %d bytes under one validator", size)
		case slices.ContainsFunc(e.former, func(v version) bool {
			return v.Root == root && (slices.Contains(v.Validators, validator) || now.Sub(v.Until) < alternating)
		}):
			return "two versions alternate"
		}
		if !recalled {
			e.former = append(slices.Clip(e.former), version{e.root, e.validators, now})
		}
		if len(e.former) > maxValidators {
			e.former = e.former[1:]
		}
		s.bytes -= e.weight()
	}
	e.checks, e.seen, e.validators = 1, 0, []string{validator}
	e.issued = later(now.Truncate(time.Second), e.issued.Add(time.Second))
	e.set(size, hashes, root)
	s.add(e)
	s.disk.put(e)
	return ""
}

// File digests size bytes of src, which is a segment in a file. Of several callers
// with one key and validator, one does the work.
func (s *Store) File(k Key, validator string, size int64, src io.Reader) (hashes []byte, root [integrity.HashSize]byte, err error) {
	type result struct {
		hashes []byte
		root   [integrity.HashSize]byte
	}
	flight := fmt.Sprintf("%s%s@%d+%d %d %s", k.Host, k.Name, k.Offset, k.Length, size, validator)
	v, err, _ := s.files.Do(flight, func() (any, error) {
		d, err := integrity.NewDigester(size)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(d, src); err != nil {
			return nil, fmt.Errorf("digest %s: %w", k.Path, err)
		}
		h, r, err := d.Sum()
		return result{h, r}, err
	})
	if err != nil {
		return nil, root, err
	}
	res := v.(result)
	return res.hashes, res.root, nil
}

// set takes the digest of a version.
func (e *known) set(size int64, hashes []byte, root [integrity.HashSize]byte) {
	e.size, e.hashes, e.root = size, hashes, root
	e.token, e.digest = "", ":"+base64.StdEncoding.EncodeToString(hashes)+":"
}

// sign renews the token unless keys signed it and it is valid for at least one
// TokenLife.
func (e *known) sign(keys *tokens.Keyring, now time.Time) error {
	expiry := now.Truncate(TokenLife).Add(2 * TokenLife)
	if e.token != "" && e.keys == keys && e.expiry.Equal(expiry) {
		return nil
	}
	t, err := keys.SignSegment(tokens.Segment{
		Path: e.key.Path, Query: e.key.Query, Offset: e.key.Offset, Size: e.size,
		ChunkSize: integrity.ChunkSize(e.size), Root: e.root, Issued: e.issued, Expires: expiry,
	})
	if err != nil {
		return err
	}
	e.token, e.expiry, e.keys = t, expiry, keys
	return nil
}

// later returns the later of two times: a version is issued after the one that it
// replaces, whatever the clock does.
func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// weight is about what e takes in memory, in bytes.
func (e *known) weight() int {
	return 1024 + len(e.hashes) + len(e.digest) + len(e.key.Path) + len(e.key.Query) + len(e.key.Host)
}
