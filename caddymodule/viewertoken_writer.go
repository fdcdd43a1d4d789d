package caddymodule

import (
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// due says whether a segment's answer is to carry a renewal: in the second half
// of the token's life. Answers with a renewal are for one viewer, and the mesh
// says nothing of their bytes, so it is kept off most segments. Manifests and
// sessions always carry it.
func due(renewal *tokens.Renewal, e tokens.Entitlement, now time.Time) bool {
	return e.Expires.IsZero() || e.Expires.Sub(now) <= renewal.Expires.Sub(now)/2
}

// renewalWriter hands a new token to the viewer with a good answer: in a cookie
// on 2xx and 3xx, or in the Location of 3xx (RFC 9246, section 3.3). It stands
// outside of the writers that look at the header, which judge what the upstream
// said; but the answer says nothing of the mesh, but where sessions are.
type renewalWriter struct {
	*caddyhttp.ResponseWriterWrapper
	renewal *tokens.Renewal
	uri     string // of the request, without token
	decided bool
}

func (w *renewalWriter) WriteHeader(status int) {
	if !w.decided && status >= 200 {
		w.decided = true
		if status < 400 {
			renew(w.Header(), w.renewal, w.uri, status)
		}
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

func (w *renewalWriter) Write(p []byte) (int, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriterWrapper.Write(p)
}

func (w *renewalWriter) ReadFrom(src io.Reader) (int64, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriterWrapper.ReadFrom(src)
}

// renew puts a renewal into the header of an answer.
func renew(h http.Header, renewal *tokens.Renewal, uri string, status int) {
	if cookie := renewal.SetCookie(); cookie != "" {
		h.Add("Set-Cookie", cookie)
		h.Del(headerSegment)
		h.Del(headerDigests)
		keepPrivate(h)
		return
	}
	if status < 300 || status == http.StatusNotModified || h.Get("Location") == "" {
		return
	}
	base, err := url.Parse(uri)
	if err != nil {
		return
	}
	target, err := base.Parse(h.Get("Location"))
	if err != nil || target.Fragment != "" {
		return
	}
	h.Set("Location", renewal.RedirectURI(target.String()))
	keepPrivate(h)
}

// keepPrivate keeps an answer out of shared caches (RFC 9111, section 5.2.2.7).
func keepPrivate(h http.Header) {
	kept := []string{"private"}
	for _, line := range h["Cache-Control"] {
		for d := range strings.SplitSeq(line, ",") {
			d = strings.TrimSpace(d)
			name, _, _ := strings.Cut(d, "=")
			switch strings.ToLower(name) {
			case "", "public", "private", "s-maxage":
			default:
				kept = append(kept, d)
			}
		}
	}
	h["Cache-Control"] = []string{strings.Join(kept, ", ")}
}

// gateWriter serves what is no media by its name. To somebody without entitlement
// it lets redirects and errors pass, and of files without a telling name only
// what is part of a web page by its type. Of files that are named like a part of
// a web page it stops what is media by its type.
type gateWriter struct {
	*caddyhttp.ResponseWriterWrapper
	handler   *Handler
	unnamed   bool                      // the name tells nothing; admission is a refusal
	verify    func() (admission, error) // gives admission otherwise
	admission admission
	decided   bool
	closed    bool // the refusal went out; what comes is dropped
}

func (w *gateWriter) WriteHeader(status int) {
	if w.closed {
		return
	}
	if !w.decided && status >= 200 {
		w.decided = true
		if status < 300 && w.refuses(contentType(w.Header())) {
			w.closed = true
			return
		}
	}
	w.ResponseWriterWrapper.WriteHeader(status)
}

// refuses says whether a response of a media type is not for this viewer, who
// then has got the refusal.
func (w *gateWriter) refuses(mediaType string) bool {
	h := w.handler
	if w.unnamed && isPageType(mediaType) || !w.unnamed && !isMediaType(mediaType) {
		return false
	}
	if w.verify != nil {
		var err error
		if w.admission, err = w.verify(); err != nil {
			h.logger.Error("viewer token could not be verified", zap.Error(err))
			w.admission.refused = &tokens.Refusal{Reason: tokens.ReasonKeysUnavailable, Status: http.StatusServiceUnavailable}
		}
	}
	h.note(w.admission, "media")
	if w.admission.refused == nil || h.Token.Enforce != EnforceRequire {
		return false
	}
	maps.DeleteFunc(w.Header(), func(name string, _ []string) bool { return !keptByRefusal(name) })
	_ = refuseViewer(w.ResponseWriter, w.admission.refused)
	return true
}

func (w *gateWriter) Write(p []byte) (int, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.closed {
		return len(p), nil
	}
	return w.ResponseWriterWrapper.Write(p)
}

func (w *gateWriter) ReadFrom(src io.Reader) (int64, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.closed {
		return io.Copy(io.Discard, src)
	}
	return w.ResponseWriterWrapper.ReadFrom(src)
}

// keptByRefusal says whether a header field of a response is none of its body, so
// that the refusal that takes its place keeps it.
func keptByRefusal(name string) bool {
	switch name {
	case "Vary", "Server", "Via", "Date", "Alt-Svc", "Strict-Transport-Security":
		return true
	}
	return strings.HasPrefix(name, "Access-Control-")
}

// isMediaType says whether a media type is that of media or of a manifest.
func isMediaType(mediaType string) bool {
	return strings.HasPrefix(mediaType, "video/") || strings.HasPrefix(mediaType, "audio/") || manifest.IsHLS(mediaType) || manifest.IsDASH(mediaType)
}

// isPageType says whether a media type is one of the page around a player.
func isPageType(mediaType string) bool {
	switch mediaType {
	case "text/html", "text/css", "text/javascript", "application/javascript", "application/json", "text/plain",
		"application/problem+json", "application/manifest+json", "application/wasm", "text/event-stream":
		return true
	}
	return strings.HasPrefix(mediaType, "image/") || strings.HasPrefix(mediaType, "font/")
}
