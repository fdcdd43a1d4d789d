package admission

import (
	"io"
	"maps"
	"net/http"
	"strings"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/internal/reply"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// gateWriter serves what is no media by its name. To somebody without entitlement
// it lets redirects and errors pass, and of files without a telling name only
// what is part of a web page by its type. Of files that are named like a part of
// a web page it stops what is media by its type.
type gateWriter struct {
	*reply.Writer
	gate    *Gate
	tokens  *ViewerTokens
	unnamed bool                    // the name does not tell; checked is a refusal
	check   func() (checked, error) // returns checked otherwise
	checked checked
	decided bool
	closed  bool // the refusal went out; what comes is dropped
}

func (w *gateWriter) WriteHeader(status int) {
	if w.closed {
		return
	}
	if !w.decided && status >= 200 {
		w.decided = true
		if status < 300 && w.refuses(manifest.MediaType(w.Header().Get("Content-Type"))) {
			w.closed = true
			return
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// refuses reports whether a response of a media type is not for this viewer, who
// then has got the refusal.
func (w *gateWriter) refuses(mediaType string) bool {
	if w.unnamed && manifest.IsPageType(mediaType) || !w.unnamed && !manifest.IsMediaType(mediaType) {
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
	maps.DeleteFunc(w.Header(), func(name string, _ []string) bool { return !keptByRefusal(name) })
	_ = RefuseViewer(w.ResponseWriter, w.checked.refused)
	return true
}

func (w *gateWriter) Write(p []byte) (int, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.closed {
		return len(p), nil
	}
	return w.ResponseWriter.Write(p)
}

func (w *gateWriter) ReadFrom(src io.Reader) (int64, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	if w.closed {
		return io.Copy(io.Discard, src)
	}
	return w.Writer.ReadFrom(src)
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
