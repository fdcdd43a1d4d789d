package response

import (
	"bytes"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/internal/reply"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

const (
	// maxManifest is how much of a manifest is read, in bytes. Segments of a
	// longer one are not shared.
	maxManifest = 4 << 20
	// flushBefore is the size from which a manifest is sent off before it is read.
	flushBefore = 32 << 10
)

// Manifests serves manifests. All fields are required; they do not change.
type Manifests struct {
	Log     *zap.Logger
	Now     func() time.Time
	Catalog *catalog.Catalog
}

// Serve answers a request whose response may be a manifest.
func (s *Manifests) Serve(w http.ResponseWriter, r *http.Request, p *admission.Policy, v *admission.Visit, next Next) error {
	mw := &manifestWriter{
		Writer: &reply.Writer{ResponseWriter: w}, manifests: s, policy: p, visit: v, copies: r.Method == http.MethodGet,
	}
	err := next(mw, r)
	if err == nil {
		mw.learn()
	}
	return err
}

// Load asks next for a manifest, as a viewer would, and has the catalog learn it.
// r is the request for it.
func (s *Manifests) Load(r *http.Request, p *admission.Policy, host string, next Next) error {
	return s.Serve(&Sink{}, r, p, &admission.Visit{Host: host, Asked: r.URL, URL: r.URL, Name: p.Identity().Of(r.URL)}, next)
}

// Sink is a response writer that drops what it is given.
type Sink struct{ header http.Header }

// Header returns the header of the response.
func (w *Sink) Header() http.Header {
	if w.header == nil {
		w.header = http.Header{}
	}
	return w.header
}

// WriteHeader drops the status.
func (w *Sink) WriteHeader(int) {}

// Write drops a part of the body.
func (w *Sink) Write(p []byte) (int, error) { return len(p), nil }

// learn has the catalog read the body of a manifest of p. Nothing that goes wrong
// in it may reach the viewer, whose manifest this is. who says what of URLs is the
// viewer's; flush is called before reading takes time.
func (s *Manifests) learn(p *catalog.Presentation, base *url.URL, body []byte, who *manifest.Identity, flush func()) {
	path := base.EscapedPath()
	defer func() {
		if caught := recover(); caught != nil {
			s.Log.Error("a manifest could not be read; nothing in it is shared",
				zap.String("path", path), zap.Any("panic", caught), zap.Stack("stack"))
		}
	}()
	if !manifest.IsXML(body) && !manifest.IsHLSBody(body) {
		return // whatever its name or type says
	}
	name := who.Of(base)
	if p = s.Catalog.Presentation(p.Host, name.Path); p == nil {
		return
	}
	s.Catalog.SwarmOf(p, s.Now()) // the header has it
	if s.Catalog.Unchanged(p, name, body, s.Now()) {
		return
	}
	if len(body) > flushBefore {
		flush()
	}
	differed := p.AdsDiffer()
	omitted, err := s.Catalog.Learn(p, base, body, who, s.Now())
	if err != nil {
		if c := s.Log.Check(zap.DebugLevel, "manifest is passed on but nothing in it is shared"); c != nil {
			c.Write(zap.String("path", path), zap.Error(err))
		}
		return
	}
	for _, o := range omitted {
		if o.Reason == catalog.OmitOldest && p.Crowded() {
			s.Log.Warn("a presentation lists more segments than are kept: viewers take the oldest from the origin alone",
				zap.String("presentation", p.Name()), zap.Int("count", o.Count))
		}
		if c := s.Log.Check(zap.DebugLevel, "some media of a manifest is not shared"); c != nil {
			c.Write(zap.String("path", path), zap.String("reason", o.Reason), zap.Int("count", o.Count), zap.String("example", o.Example))
		}
	}
	if !differed && p.AdsDiffer() {
		s.Log.Info("viewers get different ads in this presentation: they are not shared, unless ads share is set",
			zap.String("presentation", p.Name()))
	}
}

// manifestWriter passes a manifest on as it is, adds Mesh-Bootstrap, and keeps a
// copy of the body.
type manifestWriter struct {
	*reply.Writer
	manifests *Manifests
	policy    *admission.Policy
	visit     *admission.Visit
	copies    bool // the body of a 200 is to be read

	decided      bool
	presentation *catalog.Presentation // nil if the response is no manifest
	copy         *bytes.Buffer         // nil if the body is not to be read
	length       int64                 // Content-Length, -1 if unknown
}

func (w *manifestWriter) WriteHeader(status int) {
	if !w.decided && status >= 200 {
		w.decided = true
		w.decide(status)
	}
	w.ResponseWriter.WriteHeader(status)
}

func (w *manifestWriter) decide(status int) {
	h := w.Header()
	reply.RemoveMeshHeaders(h)
	switch status {
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified:
	default:
		return
	}
	t := manifest.MediaType(h.Get("Content-Type"))
	if !manifest.IsHLS(t) && !manifest.IsDASH(t) && !manifest.IsManifestName(w.visit.URL.Path) {
		return
	}
	p := w.manifests.Catalog.Peek(w.visit.Host, w.visit.Name.Path)
	if p == nil {
		return
	}
	w.presentation = p
	if w.copies && isWhole(status, h) {
		w.copy = &bytes.Buffer{}
		w.length = -1
		if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
			w.length = n
			if n <= maxManifest {
				w.copy.Grow(int(n))
			}
		}
	}
	if w.policy.Share == admission.ShareNone || p.Stopped() {
		return
	}
	value := w.manifests.Catalog.Bootstrap(p, w.policy.Path+"/session", w.policy.TokenNames(), w.policy.Identity(), w.manifests.Now())
	if value == "" {
		return // cannot be: the policy was validated
	}
	h.Set(reply.HeaderBootstrap, value)
	reply.Expose(h, reply.HeaderBootstrap)
}

func (w *manifestWriter) Write(p []byte) (int, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.copy != nil && w.length <= flushBefore && int64(w.copy.Len()+len(p)) == w.length {
		// The last bytes of a small manifest: what it lists is known before the
		// viewer can ask for it.
		w.keep(p)
		w.learn()
		return w.ResponseWriter.Write(p)
	}
	n, err := w.ResponseWriter.Write(p)
	w.keep(p[:n])
	return n, err
}

func (w *manifestWriter) ReadFrom(src io.Reader) (int64, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.copy == nil {
		return w.Writer.ReadFrom(src)
	}
	return copyThrough(w, src)
}

func (w *manifestWriter) keep(p []byte) {
	if w.copy == nil {
		return
	}
	if w.copy.Len()+len(p) > maxManifest {
		w.copy = nil
		return
	}
	w.copy.Write(p)
}

// learn reads the copy of a whole body, once.
func (w *manifestWriter) learn() {
	if w.copy == nil || w.copy.Len() == 0 || (w.length >= 0 && int64(w.copy.Len()) != w.length) {
		return
	}
	body, ok := decoded(w.Header().Get("Content-Encoding"), w.copy.Bytes())
	w.copy = nil
	if !ok {
		return
	}
	u := w.visit.URL
	base := &url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}
	w.manifests.learn(w.presentation, base, body, w.policy.Identity(), func() {
		if w.length >= 0 { // the viewer has its manifest while it is being read here
			_ = http.NewResponseController(w.ResponseWriter).Flush()
		}
	})
}
