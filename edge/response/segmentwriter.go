package response

import (
	"io"
	"net/http"
	"os"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/digest"
	"github.com/viewmesh/viewmesh/edge/internal/reply"
	"github.com/viewmesh/viewmesh/edge/uplink"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
)

// maxFileDigest is the largest file that is digested before its header goes out.
// It takes about a millisecond per MiB, once per version. Larger files are digested
// while they pass through.
const maxFileDigest = 8 << 20

// segmentWriter passes the response to a request for a listed path on.
//
//  1. WriteHeader finds the target and what is known of it. The header of a
//     response that may be shared and whose digest is unknown is held until the
//     first byte of the body, because a file that comes as the body can be digested
//     before.
//  2. Write and ReadFrom let the header go, then pass the body on, through a
//     digester where one is at work.
//  3. finish learns the digest of a body that went through whole.
type segmentWriter struct {
	*reply.Writer
	segments *Segments
	policy   *admission.Policy
	request  *http.Request
	visit    *admission.Visit
	listed   *catalog.Listed

	decided bool
	counted bool // the body is one of a segment
	shared  bool // the header it came with allows it
	held    int  // status that is held, 0 for none
	target  target

	body     *uplink.Body // nil while the server's capacity is unknown
	digester digester     // nil if the body is not digested
	claimed  bool         // in the store, for the target
	ending   ending       // of a body without Content-Length
}

// digester digests a body that passes through.
type digester interface {
	io.Writer
	Sum() (hashes []byte, root [integrity.HashSize]byte, err error)
}

// WriteHeader decides what the response is.
func (w *segmentWriter) WriteHeader(status int) {
	if w.decided || status < 200 {
		w.ResponseWriter.WriteHeader(status)
		return
	}
	w.decided = true
	w.counted = w.hasBody() && (status == http.StatusOK || status == http.StatusPartialContent)
	h := w.Header()
	reply.RemoveMeshHeaders(h)
	w.listed = w.newest()
	if status == http.StatusNotModified {
		w.unchanged()
		w.sendHeader(status)
		return
	}
	var found bool
	if w.target, found = identify(w.listed, status, h); !found {
		if t, hinted := identifyHinted(w.listed, status, h); hinted {
			w.target = t
			w.prepare()
		} else {
			w.spool(status)
		}
		w.sendHeader(status)
		return
	}
	if w.shared = w.segments.mayShare(w.request, w.policy, w.visit, w.listed, w.target.which(), h); !w.shared {
		w.refuse()
		w.sendHeader(status)
		return
	}
	if !w.asListed() { // by another query it may have other bytes
		w.sendHeader(status)
		return
	}
	if w.learnedSame() {
		w.digest()
		w.sendHeader(status)
		return
	}
	token, digests, known := w.segments.headers(&w.target)
	if !known {
		w.held = status
		return
	}
	if w.target.whole || !w.tellsApart() { // of a part nothing is compared
		w.state(token, digests)
	}
	w.digest()
	w.sendHeader(status)
}

// hasBody reports whether the request asks for a body.
func (w *segmentWriter) hasBody() bool { return w.request.Method != http.MethodHead }

// unchanged states of a 304 what a 200 would have stated: the viewer, or a cache
// on the way, updates what it has stored with this header (RFC 9111, section 4.3.4).
func (w *segmentWriter) unchanged() {
	h := w.Header()
	t, found := identifyUnchanged(w.listed, w.request, h)
	switch {
	case !found || !w.asListed() || w.learnedSame():
	case !w.segments.mayShare(w.request, w.policy, w.visit, w.listed, t.which(), h):
		w.refuse()
	default:
		if token, digests, known := w.segments.headers(&t); known {
			w.state(token, digests)
		}
	}
}

// newest returns what is listed now where the request was made on a hint, before a
// playlist listed what it asks for.
func (w *segmentWriter) newest() *catalog.Listed {
	if len(w.listed.Hints) == 0 {
		return w.listed
	}
	if now := w.segments.Catalog.Segment(w.listed.Presentation.Host, w.listed.Name); now != nil {
		return now
	}
	return w.listed
}

// prepare digests the response to a request that was made on a hint, so that there
// is a statement once a playlist lists it. Until then nothing is stated, because a
// hint does not tell whether it is part of an ad.
func (w *segmentWriter) prepare() {
	if _, ok := shareable(w.Header(), w.visit.Credentials(w.request)); ok {
		w.digest()
	}
}

// spool digests a body whose header does not tell how long it is. Its statement
// then comes from GET /mesh/segment, not with the header.
func (w *segmentWriter) spool(status int) {
	h := w.Header()
	if status != http.StatusOK || h.Get("Content-Length") != "" || !w.asListed() {
		return
	}
	if _, ok := shareable(h, w.visit.Credentials(w.request)); !ok || (!w.listed.Hints[catalog.Range{}] && !w.policy.Shares(w.request, w.listed, catalog.Range{})) {
		w.refuse()
		return
	}
	w.target = target{Key: keyOf(w.listed, catalog.Range{}), validator: validator(h)}
	if w.hasBody() && w.segments.Digests.Claim(w.target.Key, 0, w.target.validator, w.learnedSame() || w.tellsApart()) {
		w.shared, w.claimed = true, true
		w.digester = digest.NewSpool(&w.segments.spools)
	}
}

// sendHeader sends the header. Handlers around this one may have added to it just
// then (header with defer, for one): if it may not be shared now, it is not again.
func (w *segmentWriter) sendHeader(status int) {
	w.ResponseWriter.WriteHeader(status)
	if !w.shared {
		return
	}
	if _, ok := shareable(w.Header(), w.visit.Credentials(w.request)); !ok {
		w.listed.Withhold()
		w.dropDigester()
	}
}

// state puts a statement into the header.
func (w *segmentWriter) state(token, digests string) {
	h := w.Header()
	h.Set(reply.HeaderSegment, token)
	h.Set(reply.HeaderDigests, digests)
	reply.Expose(h, reply.HeaderSegment, reply.HeaderDigests, "Content-Range")
}

// refuse says that there is no statement and there will be none, so that nobody
// asks for it.
func (w *segmentWriter) refuse() {
	w.Header().Set(reply.HeaderDigests, reply.NoDigests)
	reply.Expose(w.Header(), reply.HeaderDigests)
}

// asListed reports whether the query is one that a playlist listed, but for what is
// the viewer's in it. Another one may have changed the body, which then is not what
// the playlist meant.
func (w *segmentWriter) asListed() bool { return w.listed.Is(w.visit.Name) }

// learnedSame reports whether the query is that of a listed one only because what it
// has beside was seen not to count. Nothing is stated with such an answer, and each
// is digested, because it may be the first that differs; the viewer asks for the
// statement by name.
func (w *segmentWriter) learnedSame() bool { return w.visit.Name.Query != w.listed.Query }

// tellsApart reports whether the request says who the viewer is, by a viewer token, a
// cookie or credentials: the upstream may mark the bytes for it, so each answer is compared
// with what is stated.
func (w *segmentWriter) tellsApart() bool {
	h := w.request.Header
	return w.policy.Enforced() || len(h["Cookie"]) > 0 || len(h["Authorization"]) > 0
}

// digest begins to digest the body if it is the whole target and a digest is
// wanted.
func (w *segmentWriter) digest() {
	if !w.hasBody() || !w.target.whole || !w.asListed() || !w.segments.Digests.Claim(w.target.Key, w.target.size, w.target.validator, w.learnedSame() || w.tellsApart()) {
		return
	}
	d, err := integrity.NewDigester(w.target.size)
	if err != nil {
		w.segments.Digests.Release(w.target.Key)
		return
	}
	w.digester, w.claimed = d, true
}

// letGo sends the header that is held.
func (w *segmentWriter) letGo() {
	if w.held == 0 {
		return
	}
	status := w.held
	w.held = 0
	if w.digester == nil {
		w.digest()
	}
	w.sendHeader(status)
}

func (w *segmentWriter) Write(p []byte) (int, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	w.letGo()
	n, err := w.inTurn(p)
	w.count(int64(n))
	if w.digester != nil {
		_, derr := w.digester.Write(p[:n])
		if err != nil || derr != nil {
			w.dropDigester()
		}
	}
	return n, err
}

// ReadFrom keeps a file on the kernel's path.
func (w *segmentWriter) ReadFrom(src io.Reader) (int64, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	f, n, isFile := fileBody(src)
	if isFile && w.held != 0 && w.target.size <= maxFileDigest {
		w.digestFile(f)
	}
	w.letGo()
	if w.digester != nil && isFile && w.Header().Get(reply.HeaderSegment) != "" {
		w.dropDigester() // a file is the same for all
	}
	if w.digester != nil {
		return copyThrough(w, src)
	}
	var sent int64
	var err error
	switch w.begin(); {
	case isFile:
		sent, err = w.sendInTurn(f, n)
	case w.body != nil:
		return copyThrough(w, src)
	default:
		sent, err = w.Writer.ReadFrom(src)
	}
	w.count(sent)
	return sent, err
}

// digestFile digests the target in the file of which the body is a part, before
// the header goes out, and states the digest.
func (w *segmentWriter) digestFile(f *os.File) {
	if st, err := f.Stat(); err != nil || st.Size() != w.target.resource {
		return // not the resource itself
	}
	t := &w.target
	hashes, root, err := w.segments.Digests.File(t.Key, t.validator, t.size, io.NewSectionReader(f, t.Offset, t.size))
	if err != nil {
		return
	}
	w.segments.learn(w.listed, w.visit.Name, t, hashes, root)
	if token, digests, ok := w.segments.headers(t); ok && !w.listed.Presentation.Stopped() {
		w.state(token, digests)
	}
}

// FlushError sends what is held, header included.
func (w *segmentWriter) FlushError() error {
	w.letGo()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

func (w *segmentWriter) count(n int64) {
	if w.counted {
		w.segments.count(w.listed.Presentation, n)
	}
}

// finish learns the digest of a body that went through whole.
func (w *segmentWriter) finish() {
	w.letGo()
	if w.digester == nil {
		return
	}
	if spool, ok := w.digester.(*digest.Spool); ok {
		if !w.ending.certain() || w.request.Context().Err() != nil {
			return
		}
		w.target.size = spool.Size()
	}
	if hashes, root, err := w.digester.Sum(); err == nil {
		w.segments.learn(w.listed, w.visit.Name, &w.target, hashes, root)
	}
}

func (w *segmentWriter) dropDigester() {
	w.abandon()
	w.digester = nil
}

// abandon gives back what the digester and the body hold; also when next panicked.
func (w *segmentWriter) abandon() {
	if w.body != nil {
		w.body.End()
		w.body = nil
	}
	if spool, ok := w.digester.(*digest.Spool); ok {
		spool.Free()
	}
	if w.claimed {
		w.claimed = false
		w.segments.Digests.Release(w.target.Key)
	}
}
