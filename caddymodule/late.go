package caddymodule

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
)

const (
	// maxLate is the largest body without Content-Length that is digested, in bytes.
	maxLate = 8 << 20
	// maxLateAll bounds what all of them take in memory at once.
	maxLateAll = 64 << 20
)

var errLate = errors.New("body without Content-Length is too large to be digested")

// digester digests a body that passes through.
type digester interface {
	io.Writer
	Sum() (hashes []byte, root [integrity.HashSize]byte, err error)
}

// lateDigester digests a body whose size is not known before its end, and so
// neither the size of its chunks: it keeps a copy until then.
type lateDigester struct {
	body []byte
	all  *atomic.Int64 // bytes that all lateDigesters keep
}

// Write keeps a copy.
func (d *lateDigester) Write(p []byte) (int, error) {
	if len(d.body)+len(p) > maxLate {
		return 0, errLate
	}
	if d.all.Add(int64(len(p))) > maxLateAll {
		d.all.Add(-int64(len(p)))
		return 0, errLate
	}
	d.body = append(d.body, p...)
	return len(p), nil
}

// Sum digests the copy.
func (d *lateDigester) Sum() (hashes []byte, root [integrity.HashSize]byte, err error) {
	of, err := integrity.NewDigester(int64(len(d.body)))
	if err != nil {
		return nil, root, err
	}
	if _, err := of.Write(d.body); err != nil {
		return nil, root, err
	}
	return of.Sum()
}

// free lets the copy go.
func (d *lateDigester) free() {
	d.all.Add(-int64(len(d.body)))
	d.body = nil
}

// digestLate begins to digest a body whose header does not say how long it is. Its
// token is then had from GET /mesh/segment, not from the header.
func (s *segmentWriter) digestLate(status int) {
	h, st := s.Header(), s.handler.rt.statements
	if status != http.StatusOK || h.Get("Content-Length") != "" || !s.asListed() {
		return
	}
	if _, ok := shareable(h); !ok || (!s.listed.hints[byteRange{}] && !s.handler.policyShares(s.request, s.listed, byteRange{})) {
		s.refuse()
		return
	}
	s.version = validator(h)
	s.target = segmentKey{location: location{s.listed.presentation.host, s.listed.path}}
	if st.claim(s.target, 0, s.version) {
		s.shared, s.claimed = true, true
		s.digester = &lateDigester{all: &s.handler.rt.late}
	}
}
