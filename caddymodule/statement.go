package caddymodule

import (
	"container/list"
	"encoding/base64"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/tokens"
)

const (
	// maxStatementBytes bounds the memory of statements.
	maxStatementBytes = 64 << 20
	// segmentLife is the step to which expiries of segment tokens are rounded, so
	// that a token is the same for every viewer: it is good for one to two steps.
	segmentLife = 12 * time.Hour
	// maxValidators is how many validators of the same bytes are remembered (two
	// servers behind one name often give different ETags).
	maxValidators = 4
	// maxDigesters is how many responses of one segment are digested at once, so
	// that one slow viewer does not keep the others waiting for the statement.
	maxDigesters = 4
	// sureChecks and checkEvery: each of the first sureChecks responses is
	// digested, then one in checkEvery, to see whether viewers get different bytes.
	sureChecks, checkEvery = 4, 8
)

// segmentKey names a segment: a resource of a host, or a byte range of it.
type segmentKey struct {
	location
	byteRange
}

// statement is what the edge knows of the bytes of a segment.
type statement struct {
	key        segmentKey
	size       int64
	root       [integrity.HashSize]byte
	hashes     []byte
	validators []string                   // with which these bytes came
	former     [][integrity.HashSize]byte // roots of versions before this one
	checks     int                        // responses that were digested
	seen       int                        // responses since

	token  string // signed by keys, rounded expiry
	expiry time.Time
	keys   *tokens.Keyring
	digest string // value of Mesh-Digests
}

// statements keeps the statements of segments, the least recently used of which
// go first. It is safe for concurrent use.
type statements struct {
	mu      sync.Mutex
	byKey   map[segmentKey]*list.Element // of *statement
	used    *list.List                   // most recently used first
	bytes   int
	digests map[segmentKey]int // digesters at work
}

func newStatements() *statements {
	return &statements{byKey: map[segmentKey]*list.Element{}, used: list.New(), digests: map[segmentKey]int{}}
}

// headers gives the values of Mesh-Segment and Mesh-Digests for a response of
// this size and validator; ok is false where its digest is not known.
func (s *statements) headers(k segmentKey, size int64, validator string, keys *tokens.Keyring, now time.Time) (token, digests string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[k]
	if e == nil {
		return "", "", false
	}
	st := e.Value.(*statement)
	if st.size != size || !slices.Contains(st.validators, validator) {
		return "", "", false
	}
	s.used.MoveToFront(e)
	if st.sign(keys, now) != nil {
		return "", "", false
	}
	return st.token, st.digest, true
}

// any gives the token and the hashes of the newest version known.
func (s *statements) any(k segmentKey, keys *tokens.Keyring, now time.Time) (token string, hashes []byte, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.byKey[k]
	if e == nil {
		return "", nil, false
	}
	st := e.Value.(*statement)
	s.used.MoveToFront(e)
	if st.sign(keys, now) != nil {
		return "", nil, false
	}
	return st.token, st.hashes, true
}

// sign sees to it that the token is signed by the newest of keys and is good
// for at least one segmentLife.
func (st *statement) sign(keys *tokens.Keyring, now time.Time) error {
	expiry := now.Truncate(segmentLife).Add(2 * segmentLife)
	if st.token != "" && st.keys == keys && st.expiry.Equal(expiry) {
		return nil
	}
	t, err := keys.SignSegment(tokens.Segment{
		Path: st.key.path, Offset: st.key.offset, Size: st.size,
		ChunkSize: integrity.ChunkSize(st.size), Root: st.root, Expires: expiry,
	})
	if err != nil {
		return err
	}
	st.token, st.expiry, st.keys = t, expiry, keys
	return nil
}

// claim reports whether a response is to be digested while it passes; size is 0 if
// it is not known. Each claim that was granted needs one release.
func (s *statements) claim(k segmentKey, size int64, validator string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.digests[k] >= maxDigesters || size > integrity.MaxSegment {
		return false
	}
	if e := s.byKey[k]; e != nil {
		st := e.Value.(*statement)
		if (st.size == size || size == 0) && slices.Contains(st.validators, validator) && st.checks >= sureChecks {
			if st.seen++; st.seen%checkEvery != 0 {
				return false
			}
		}
	}
	s.digests[k]++
	return true
}

func (s *statements) release(k segmentKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.digests[k]--; s.digests[k] <= 0 {
		delete(s.digests, k)
	}
}

// learn takes the digest of bytes that were served whole. conflict says, for the
// log, that viewers get different bytes at one URL, where that is seen: two
// digests under one validator, or a version that had been replaced and comes
// back. A version with a new validator replaces the one before.
func (s *statements) learn(k segmentKey, size int64, validator string, hashes []byte, root [integrity.HashSize]byte) (conflict string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := &statement{key: k}
	if e := s.byKey[k]; e != nil {
		st = e.Value.(*statement)
		switch {
		case st.root == root:
			st.checks++
			if !slices.Contains(st.validators, validator) && len(st.validators) < maxValidators {
				st.validators = append(st.validators, validator)
			}
			return ""
		case slices.Contains(st.validators, validator) && st.size == size:
			return fmt.Sprintf("two digests of %d bytes under one validator", size)
		case slices.Contains(st.former, root):
			return "two versions alternate"
		}
		st.former = append(st.former, st.root)
		if len(st.former) > maxValidators {
			st.former = st.former[1:]
		}
		s.drop(e)
	}
	st.size, st.hashes, st.root, st.checks, st.seen = size, hashes, root, 1, 0
	st.validators = []string{validator}
	st.token, st.digest = "", ":"+base64.StdEncoding.EncodeToString(hashes)+":"
	s.byKey[k] = s.used.PushFront(st)
	s.bytes += st.weight()
	for s.bytes > maxStatementBytes && s.used.Len() > 1 {
		s.drop(s.used.Back())
	}
	return ""
}

func (s *statements) drop(e *list.Element) {
	st := e.Value.(*statement)
	s.used.Remove(e)
	delete(s.byKey, st.key)
	s.bytes -= st.weight()
}

// weight is about what st takes in memory, in bytes.
func (st *statement) weight() int {
	return 1024 + len(st.hashes) + len(st.digest) + len(st.key.path) + len(st.key.host)
}
