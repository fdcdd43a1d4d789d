package caddymodule

import (
	"io"
	"net/http"
	"os"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/integrity"
)

// maxFileDigest is the largest file that is digested before its header goes out.
// It takes about a millisecond per MiB, once per version. Larger files are digested while
// they pass through.
const maxFileDigest = 8 << 20

// serveSegment answers a GET of a listed segment: it calls next, counts the
// bytes, and says what the edge vouches for in the header.
func (h *Handler) serveSegment(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, l *listed) error {
	s := &segmentWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		handler:               h, request: r, listed: l,
	}
	defer s.abandon()
	err := next.ServeHTTP(s, r)
	s.finish()
	return err
}

// segmentWriter passes a response on. The header of one that may be shared and
// whose digest is not known is held until the first byte of the body, because a
// file that comes as the body can be digested before.
type segmentWriter struct {
	*caddyhttp.ResponseWriterWrapper
	handler *Handler
	request *http.Request
	listed  *listed

	decided  bool
	counted  bool // the body is one of a segment
	shared   bool // the header it came with allows it
	held     int  // status that is held, 0 for none
	target   segmentKey
	first    int64 // where the target begins in the resource
	size     int64 // of the target
	resource int64 // size of the resource
	whole    bool  // the body is just the target
	version  string

	digester digester
	claimed  bool
}

// WriteHeader decides what the response is.
func (s *segmentWriter) WriteHeader(status int) {
	if s.decided || status < 200 {
		s.ResponseWriterWrapper.WriteHeader(status)
		return
	}
	s.decided = true
	removeMeshHeaders(s.Header())
	found := s.identify(status)
	if !found && s.hinted(status) {
		found = s.identify(status) // it is listed now
	}
	s.shared = found && s.handler.mayShare(s.request, s.listed, s.target.byteRange, s.Header())
	if s.shared {
		rt := s.handler.rt
		token, digests, ok := rt.statements.headers(s.target, s.size, s.version, rt.keyring(s.handler.app), rt.now())
		if ok {
			s.announce(token, digests)
			s.digest()
		} else {
			s.held = status
			return
		}
	} else if found {
		s.refuse()
	} else {
		s.digestLate(status)
	}
	s.writeHeader(status)
}

// writeHeader sends the header. Handlers around this one may have added to it just
// then (header with defer, for one): if it may not be shared now, it is not again.
func (s *segmentWriter) writeHeader(status int) {
	s.ResponseWriterWrapper.WriteHeader(status)
	if !s.shared {
		return
	}
	if _, ok := shareable(s.Header()); !ok {
		s.listed.withheld.Store(true)
		s.dropDigester()
	}
}

// identify finds which listed resource or range the body belongs to.
func (s *segmentWriter) identify(status int) bool {
	h := s.Header()
	s.counted = status == http.StatusOK || status == http.StatusPartialContent
	offset, length, size, ok := bodyRange(status, h)
	if !ok {
		return false
	}
	exact := byteRange{offset, length}
	_, wholeListed := s.listed.ranges[byteRange{}]
	_, rangeListed := s.listed.ranges[exact]
	s.version, s.resource = validator(h), size
	s.target = segmentKey{location: location{s.listed.presentation.host, s.listed.path}}
	switch {
	case rangeListed && status == http.StatusPartialContent && (length != size || !wholeListed): // a part, where both are listed
		s.target.byteRange = exact
		s.first, s.size, s.whole = offset, length, true
	case wholeListed && size >= 0:
		s.size, s.whole = size, length == size
	default:
		return false
	}
	return s.size <= integrity.MaxSegment
}

func (s *segmentWriter) announce(token, digests string) {
	h := s.Header()
	h.Set(headerSegment, token)
	h.Set(headerDigests, digests)
	h.Add("Access-Control-Expose-Headers", headerSegment+", "+headerDigests+", Content-Range")
}

// refuse says that there is no statement and will be none, so that nobody asks for
// it.
func (s *segmentWriter) refuse() {
	h := s.Header()
	h.Set(headerDigests, noDigests)
	h.Add("Access-Control-Expose-Headers", headerDigests)
}

// asListed says whether the query is one that a playlist gave, with or without a
// viewer token in it. Another one may have changed the body, which then is not
// what the playlist meant.
func (s *segmentWriter) asListed() bool {
	if originalURL(s.request).RawQuery == s.listed.query {
		return true
	}
	or, ok := s.request.Context().Value(caddyhttp.OriginalRequestCtxKey).(http.Request)
	return ok && or.URL != nil && or.URL.RawQuery == s.listed.query
}

// digest begins to digest the body if it is whole and this is wanted.
func (s *segmentWriter) digest() {
	if !s.whole || !s.asListed() || !s.handler.rt.statements.claim(s.target, s.size, s.version) {
		return
	}
	d, err := integrity.NewDigester(s.size)
	if err != nil {
		s.handler.rt.statements.release(s.target)
		return
	}
	s.digester, s.claimed = d, true
}

// letGo sends the header that is held.
func (s *segmentWriter) letGo() {
	if s.held == 0 {
		return
	}
	status := s.held
	s.held = 0
	if s.digester == nil {
		s.digest()
	}
	s.writeHeader(status)
}

func (s *segmentWriter) Write(p []byte) (int, error) {
	if !s.decided {
		s.WriteHeader(http.StatusOK)
	}
	s.letGo()
	n, err := s.ResponseWriterWrapper.Write(p)
	s.count(int64(n))
	if s.digester != nil {
		if _, derr := s.digester.Write(p[:n]); derr != nil {
			s.dropDigester()
		}
	}
	return n, err
}

// ReadFrom keeps a file on the kernel's path.
func (s *segmentWriter) ReadFrom(src io.Reader) (int64, error) {
	if !s.decided {
		s.WriteHeader(http.StatusOK)
	}
	f, n, isFile := fileBody(src)
	if isFile && s.held != 0 && s.size <= maxFileDigest {
		s.digestFile(f)
	}
	s.letGo()
	if s.digester != nil && isFile && s.Header().Get(headerSegment) != "" {
		s.dropDigester() // a file is the same for all
	}
	if s.digester != nil {
		return copyThrough(s, src)
	}
	var sent int64
	var err error
	if isFile {
		_, idle := caddyhttp.IdleTimeoutsFromContext(s.request.Context())
		sent, err = sendFile(s.ResponseWriterWrapper, f, n, idle)
	} else {
		sent, err = s.ResponseWriterWrapper.ReadFrom(src)
	}
	s.count(sent)
	return sent, err
}

// digestFile digests the target in the file of which the body is a part, before
// the header goes out, and announces it.
func (s *segmentWriter) digestFile(f *os.File) {
	rt := s.handler.rt
	if st, err := f.Stat(); err != nil || st.Size() != s.resource {
		return // not the resource itself
	}
	hashes, root, err := rt.digestOnce(s.target, s.version, s.size, io.NewSectionReader(f, s.first, s.size))
	if err != nil {
		return
	}
	s.learn(hashes, root)
	if token, digests, ok := rt.statements.headers(s.target, s.size, s.version, rt.keyring(s.handler.app), rt.now()); ok &&
		s.listed.presentation.stopped.Load() == nil {
		s.announce(token, digests)
	}
}

// FlushError sends what is held, header included.
func (s *segmentWriter) FlushError() error {
	s.letGo()
	return http.NewResponseController(s.ResponseWriter).Flush()
}

func (s *segmentWriter) count(n int64) {
	if s.counted && n > 0 {
		s.listed.presentation.egress.Add(n)
		s.handler.rt.egress.Add(n)
	}
}

// finish takes the digest of a body that went through whole.
func (s *segmentWriter) finish() {
	s.letGo()
	if s.digester == nil {
		return
	}
	if late, ok := s.digester.(*lateDigester); ok {
		s.size = int64(len(late.body))
	}
	if hashes, root, err := s.digester.Sum(); err == nil {
		s.learn(hashes, root)
	}
}

func (s *segmentWriter) learn(hashes []byte, root [integrity.HashSize]byte) {
	rt, p := s.handler.rt, s.listed.presentation
	conflict := rt.statements.learn(s.target, s.size, s.version, hashes, root)
	if conflict != "" {
		rt.stopSharing(p, conflict, zap.String("path", s.listed.path))
	}
}

func (s *segmentWriter) dropDigester() {
	s.abandon()
	s.digester = nil
}

// abandon gives back what the digester holds; also when next panicked.
func (s *segmentWriter) abandon() {
	if late, ok := s.digester.(*lateDigester); ok {
		late.free()
	}
	if s.claimed {
		s.claimed = false
		s.handler.rt.statements.release(s.target)
	}
}

// mayShare says whether a listed resource or range may be shared, by the
// operator's policy and by the response's header.
func (h *Handler) mayShare(r *http.Request, l *listed, which byteRange, header http.Header) bool {
	if !h.policyShares(r, l, which) {
		return false
	}
	reason, ok := shareable(header)
	if !ok {
		if c := h.logger.Check(zap.DebugLevel, "segment is not shared"); c != nil {
			c.Write(zap.String("path", l.path), zap.String("reason", reason))
		}
	}
	return ok
}

// policyShares says whether the operator's policy lets a listed resource or
// range be shared.
func (h *Handler) policyShares(r *http.Request, l *listed, which byteRange) bool {
	encrypted, ok := l.ranges[which]
	switch {
	case !ok, l.ambiguous, l.withheld.Load(), h.Share == ShareNone, l.presentation.stopped.Load() != nil:
		return false
	case h.Share == ShareEncryptedOnly && !encrypted, l.ad && !h.sharesAds(l.presentation):
		return false
	case len(h.exclude) == 0:
		return true
	}
	excluded, err := h.exclude.AnyMatchWithError(r)
	return err == nil && !excluded
}
