package response

import (
	"net/http"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/digest"
	"github.com/viewmesh/viewmesh/edge/internal/reply"
	"github.com/viewmesh/viewmesh/edge/uplink"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// Next is the handler behind the edge, which serves the site.
type Next func(http.ResponseWriter, *http.Request) error

// Segments serves segments. All fields but Slice and Differ are required; they do
// not change.
type Segments struct {
	Log     *zap.Logger
	Now     func() time.Time
	Catalog *catalog.Catalog
	Digests *digest.Store
	// Keys returns the keys that sign statements now.
	Keys func() *tokens.Keyring
	// Slice returns the size of the limited readers into which the server splits the
	// body of a response, in bytes; 0 for none.
	Slice func(*http.Request) int64
	// Uplink is what the server sends by.
	Uplink *uplink.Uplink
	// Last reports whether a segment waits for all those of which it does not.
	Last func(*http.Request, *admission.Policy) bool
	// Differ is called when viewers are seen to get different bytes at one URL.
	Differ func(p *catalog.Presentation, path, why string)

	spools digest.Budget
	egress atomic.Int64
}

// Egress returns the bytes of segment bodies that were sent.
func (s *Segments) Egress() int64 { return s.egress.Load() }

// Spooled returns the bytes that bodies without Content-Length hold in memory now.
func (s *Segments) Spooled() int64 { return s.spools.Held() }

// Serve answers a GET or HEAD of a listed segment: it calls next, counts the bytes, and
// adds what the edge states of them to the header.
func (s *Segments) Serve(w http.ResponseWriter, r *http.Request, p *admission.Policy, v *admission.Visit, next Next) error {
	sw := &segmentWriter{Writer: &reply.Writer{ResponseWriter: w}, segments: s, policy: p, request: r, visit: v, listed: v.Listed}
	defer sw.abandon()
	if err := next(sw, sw.ending.watch(r)); err != nil {
		sw.letGo()
		return err
	}
	sw.finish()
	return nil
}

// count counts bytes of a segment of p that were sent.
func (s *Segments) count(p *catalog.Presentation, n int64) {
	if n > 0 {
		p.AddEgress(n)
		s.egress.Add(n)
	}
}

// mayShare reports whether a listed resource or range may be shared, by the
// operator's policy and by the response's header.
func (s *Segments) mayShare(r *http.Request, p *admission.Policy, v *admission.Visit, l *catalog.Listed, which catalog.Range, h http.Header) bool {
	if !p.Shares(r, l, which) {
		return false
	}
	reason, ok := shareable(h, v.Credentials(r))
	if !ok {
		if c := s.Log.Check(zap.DebugLevel, "segment is not shared"); c != nil {
			c.Write(zap.String("path", l.Path), zap.String("reason", reason))
		}
	}
	return ok
}

// headers returns what the edge states of a target in the header.
func (s *Segments) headers(t *target) (token, digests string, ok bool) {
	return s.Digests.Headers(t.Key, t.size, t.validator, s.Keys(), s.Now())
}

// learn takes the digest of a target that went through whole. What is shared although
// its queries differ, because they seemed to be the viewers', is so while the bytes
// are the same for all.
func (s *Segments) learn(l *catalog.Listed, asked manifest.Name, t *target, hashes []byte, root [integrity.HashSize]byte) {
	if asked.Query != l.Query && s.Digests.Differs(t.Key, root) {
		l.Withhold()
		s.Catalog.Depends(l.Presentation)
		s.Log.Warn("query parameters that seemed to be the viewers' give different bytes: they tell resources apart from now on",
			zap.String("path", l.Path), zap.Strings("parameters", l.Presentation.Params(nil)))
		return
	}
	s.Catalog.Observe(l.Presentation, asked, t.which(), root)
	if why := s.Digests.Learn(t.Key, t.size, t.validator, hashes, root, s.Now()); why != "" && s.Differ != nil {
		s.Differ(l.Presentation, t.Path, why)
	}
}
