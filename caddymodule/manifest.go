package caddymodule

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dunglas/httpsfv"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// The header fields of the mesh.
const (
	headerBootstrap = "Mesh-Bootstrap"
	headerSegment   = "Mesh-Segment"
	headerDigests   = "Mesh-Digests"

	noDigests = "?0" // of headerDigests (RFC 9651, section 3.3.6): there is no statement, and will be none
)

const (
	// maxManifest is how much of a playlist is read, in bytes. Segments of a
	// longer one are not shared.
	maxManifest = 4 << 20
	// flushBefore is the size from which a playlist is sent off before it is read.
	flushBefore = 32 << 10
)

// removeMeshHeaders takes out what an upstream said in the mesh's name.
func removeMeshHeaders(h http.Header) {
	for name := range h {
		if strings.HasPrefix(name, "Mesh-") {
			delete(h, name)
		}
	}
}

// bootstrapValue is a value of Mesh-Bootstrap and what it was made from.
type bootstrapValue struct{ session, swarm, token, value string }

// bootstrap gives the value of Mesh-Bootstrap for p, "" if there can be none.
func (p *presentation) bootstrap(session, swarm, token string) string {
	if v := p.lastBootstrap.Load(); v != nil && v.session == session && v.swarm == swarm && v.token == token {
		return v.value
	}
	value, err := bootstrap(session, swarm, token)
	if err != nil {
		return ""
	}
	p.lastBootstrap.Store(&bootstrapValue{session, swarm, token, value})
	return value
}

// bootstrap makes a value of Mesh-Bootstrap. token are the names of viewer tokens in
// URLs, with spaces between; "" for none.
func bootstrap(session, swarm, token string) (string, error) {
	d := httpsfv.NewDictionary()
	d.Add("v", httpsfv.NewItem(1))
	d.Add("session", httpsfv.NewItem(session))
	d.Add("swarm", httpsfv.NewItem(swarm))
	if token != "" {
		d.Add("token", httpsfv.NewItem(token))
	}
	return httpsfv.Marshal(d)
}

// serveManifest answers a request whose response may be a playlist.
func (h *Handler) serveManifest(w http.ResponseWriter, r *http.Request, next caddyhttp.Handler, host string, u *url.URL) error {
	m := &manifestWriter{
		ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w},
		handler:               h, host: host, url: u,
		copies: r.Method == http.MethodGet,
	}
	err := next.ServeHTTP(m, r)
	if err == nil {
		m.learn()
	}
	return err
}

// manifestWriter passes a playlist on as it is, adds Mesh-Bootstrap, and keeps a
// copy of the body.
type manifestWriter struct {
	*caddyhttp.ResponseWriterWrapper
	handler *Handler
	host    string
	url     *url.URL
	copies  bool // the body of a 200 is to be read

	decided      bool
	presentation *presentation // nil if the response is no manifest
	copy         *bytes.Buffer // nil if the body is not to be read
	length       int64         // Content-Length, -1 if not known
}

func (m *manifestWriter) WriteHeader(status int) {
	if !m.decided && status >= 200 {
		m.decided = true
		m.decide(status)
	}
	m.ResponseWriterWrapper.WriteHeader(status)
}

func (m *manifestWriter) decide(status int) {
	h := m.Header()
	removeMeshHeaders(h)
	switch status {
	case http.StatusOK, http.StatusPartialContent, http.StatusNotModified:
	default:
		return
	}
	byType := manifest.IsHLS(contentType(h)) || manifest.IsDASH(contentType(h))
	if !byType && !manifest.IsManifestName(m.url.Path) {
		return
	}
	path := m.url.EscapedPath()
	p := m.handler.rt.catalog.presentation(m.host, path)
	if p == nil {
		return
	}
	m.presentation = p
	if m.copies && isWhole(status, h) {
		m.copy = &bytes.Buffer{}
		m.length = -1
		if n, err := strconv.ParseInt(h.Get("Content-Length"), 10, 64); err == nil && n >= 0 {
			m.length = n
			if n <= maxManifest {
				m.copy.Grow(int(n))
			}
		}
	}
	if m.handler.Share == ShareNone || p.stopped.Load() != nil {
		return
	}
	rt := m.handler.rt
	value := p.bootstrap(m.handler.Path+"/session", rt.catalog.swarmOf(p, rt.now()), m.handler.tokenNames())
	if value == "" {
		return // cannot be: Validate has tried Path
	}
	h.Set(headerBootstrap, value)
	h.Add("Access-Control-Expose-Headers", headerBootstrap)
}

// isWhole says whether a response carries all of its resource: also as one range,
// because the HLS player of Chromium asks for playlists with "Range: bytes=0-".
func isWhole(status int, h http.Header) bool {
	if status != http.StatusPartialContent {
		return status == http.StatusOK
	}
	_, length, size, ok := bodyRange(status, h)
	return ok && length == size
}

func (m *manifestWriter) Write(p []byte) (int, error) {
	if !m.decided {
		m.WriteHeader(http.StatusOK)
	}
	if m.copy != nil && m.length <= flushBefore && int64(m.copy.Len()+len(p)) == m.length {
		// The last bytes of a small playlist: what it lists is known before the
		// viewer can ask for it.
		m.keep(p)
		m.learn()
		return m.ResponseWriterWrapper.Write(p)
	}
	n, err := m.ResponseWriterWrapper.Write(p)
	m.keep(p[:n])
	return n, err
}

func (m *manifestWriter) ReadFrom(src io.Reader) (int64, error) {
	if !m.decided {
		m.WriteHeader(http.StatusOK)
	}
	if m.copy == nil {
		return m.ResponseWriterWrapper.ReadFrom(src)
	}
	return copyThrough(m, src)
}

func (m *manifestWriter) keep(p []byte) {
	if m.copy == nil {
		return
	}
	if m.copy.Len()+len(p) > maxManifest {
		m.copy = nil
		return
	}
	m.copy.Write(p)
}

// learn reads the copy of a whole body, once. Nothing that goes wrong in it may
// reach the viewer, whose playlist this is.
func (m *manifestWriter) learn() {
	defer func() {
		if p := recover(); p != nil {
			m.handler.logger.Error("a playlist could not be read; nothing in it is shared",
				zap.String("path", m.url.EscapedPath()), zap.Any("panic", p), zap.Stack("stack"))
		}
	}()
	if m.copy == nil || m.copy.Len() == 0 || (m.length >= 0 && int64(m.copy.Len()) != m.length) {
		return
	}
	defer func() { m.copy = nil }()
	body, ok := decoded(m.Header().Get("Content-Encoding"), m.copy.Bytes())
	if !ok {
		return
	}
	rt, path := m.handler.rt, m.url.EscapedPath()
	if rt.catalog.known(m.presentation, path, body, rt.now()) {
		return
	}
	if len(body) > flushBefore && m.length >= 0 {
		// The viewer has its playlist while it is being read here.
		_ = http.NewResponseController(m.ResponseWriter).Flush()
	}
	base := &url.URL{Host: m.host, Path: m.url.Path, RawPath: m.url.RawPath, RawQuery: m.url.RawQuery}
	var pl *manifest.Playlist
	var err error
	if manifest.IsXML(body) {
		var listed *manifest.MPD
		if listed, err = manifest.ReadMPD(body, base); err == nil {
			rt.catalog.learnMPD(m.presentation, base, listed, rt.now())
			return
		}
	} else {
		pl, err = manifest.ReadHLS(body, manifest.Source{URL: base, Imports: rt.catalog.importsOf(m.presentation)})
	}
	if err != nil {
		if c := m.handler.logger.Check(zap.DebugLevel, "playlist is passed on but nothing in it is shared"); c != nil {
			c.Write(zap.String("path", path), zap.Error(err))
		}
		return
	}
	if pl.Multivariant {
		rt.catalog.learnMultivariant(m.presentation, pl)
		return
	}
	differed := m.presentation.adsDiffer.Load()
	rt.catalog.learnMedia(m.presentation, base, &pl.Listing, pl.Skipped > 0, rt.now())
	if !differed && m.presentation.adsDiffer.Load() {
		m.handler.logger.Info("viewers get different ads in this presentation: they are not shared, unless ads share is set",
			zap.String("presentation", m.presentation.key()))
	}
}

// decoded undoes a Content-Encoding that it knows, up to maxManifest bytes.
func decoded(encoding string, body []byte) ([]byte, bool) {
	switch strings.ToLower(strings.TrimSpace(encoding)) {
	case "", "identity":
		return body, true
	case "gzip", "x-gzip":
		z, err := gzip.NewReader(bytes.NewReader(body))
		if err != nil {
			return nil, false
		}
		out, err := io.ReadAll(io.LimitReader(z, maxManifest+1))
		return out, err == nil && len(out) <= maxManifest
	}
	return nil, false
}
