package admission

import (
	"errors"
	"io"
	"maps"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/internal/reply"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// gateWriter serves what is no media by its name. To a viewer without entitlement it
// passes redirects and errors, and of files those that are part of a web page by their
// first bytes, and, without a telling name, by their type too. It holds the header until
// those bytes are there. Finish must be called after the handler.
type gateWriter struct {
	*reply.Writer
	gate    *Gate
	tokens  *ViewerTokens
	unnamed bool                    // the name does not tell
	check   func() (checked, error) // returns checked; nil if that is a refusal
	checked checked
	held    int    // status that is held, 0 for none
	first   []byte // of the body, while the header is held
	passed  bool   // the header went out
	closed  bool   // the refusal went out; what comes is dropped
}

func (w *gateWriter) WriteHeader(status int) {
	switch {
	case w.closed || w.held != 0:
	case w.passed || status < 200 || status >= 300:
		w.passed = w.passed || status >= 200
		w.ResponseWriter.WriteHeader(status)
	default:
		w.held = status
	}
}

// Finish lets a body of few bytes go, or the header of one of none.
func (w *gateWriter) Finish() { _ = w.decide() }

// decide lets a response go whose first bytes are here, or refuses it.
func (w *gateWriter) decide() error {
	if w.held == 0 {
		return nil
	}
	status, first := w.held, w.first
	w.held, w.first = 0, nil
	if w.refuses(first) {
		w.closed = true
		return nil
	}
	w.passed = true
	w.ResponseWriter.WriteHeader(status)
	if len(first) == 0 {
		return nil
	}
	_, err := w.ResponseWriter.Write(first)
	return err
}

// refuses reports whether a response is not for this viewer, who then has got the
// refusal.
func (w *gateWriter) refuses(first []byte) bool {
	h := w.Header()
	if isPagePart(h, first) && (!w.unnamed || manifest.IsPageType(manifest.MediaType(h.Get("Content-Type")))) {
		return false
	}
	checker := w.gate.checker
	if w.check != nil {
		var err error
		if w.checked, err = w.check(); err != nil {
			checker.log.Error("viewer token could not be verified", zap.Error(err))
			w.checked.refused = &tokens.Refusal{Reason: tokens.ReasonKeysUnavailable, Status: http.StatusServiceUnavailable}
		}
	}
	checker.note(w.checked, w.tokens, "media")
	if w.checked.refused == nil || w.tokens.Enforce != EnforceRequire {
		return false
	}
	maps.DeleteFunc(h, func(name string, _ []string) bool { return !keptByRefusal(name) })
	_ = RefuseViewer(w.ResponseWriter, w.checked.refused)
	return true
}

func (w *gateWriter) Write(p []byte) (int, error) {
	if !w.passed && w.held == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.held != 0 {
		if w.first = append(w.first, p...); len(w.first) < sniffLen {
			return len(p), nil
		}
		return len(p), w.decide()
	}
	if w.closed {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

func (w *gateWriter) ReadFrom(src io.Reader) (n int64, err error) {
	if !w.passed && w.held == 0 {
		w.WriteHeader(http.StatusOK)
	}
	if w.held != 0 {
		n, err = io.CopyN(struct{ io.Writer }{w}, src, int64(sniffLen-len(w.first)))
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return n, err
		}
	}
	if w.closed {
		dropped, err := io.Copy(io.Discard, src)
		return n + dropped, err
	}
	rest, err := w.Writer.ReadFrom(src)
	return n + rest, err
}

// FlushError sends what was written, unless it is too little to tell what it is.
func (w *gateWriter) FlushError() error {
	if w.held != 0 || w.closed {
		return nil
	}
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// keptByRefusal reports whether a header field of a response is none of its body,
// so that the refusal that takes its place keeps it.
func keptByRefusal(name string) bool {
	switch name {
	case "Vary", "Server", "Via", "Date", "Alt-Svc", "Strict-Transport-Security":
		return true
	}
	return strings.HasPrefix(name, "Access-Control-")
}
