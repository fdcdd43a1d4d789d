package admission

import (
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/viewmesh/viewmesh/edge/internal/reply"
	"github.com/viewmesh/viewmesh/tokens"
)

// due reports whether a segment's answer is to carry a renewal: in the second half
// of the token's life. Answers with a renewal are for one viewer, and the mesh
// says nothing of their bytes, so it is kept off most segments. Manifests and
// sessions always carry it.
func due(renewal *tokens.Renewal, e tokens.Entitlement, now time.Time) bool {
	return e.Expires.IsZero() || e.Expires.Sub(now) <= renewal.Expires.Sub(now)/2
}

// renewalWriter hands a new token to the viewer with a good answer: in a cookie
// on 2xx and 3xx, or in the Location of 3xx (RFC 9246, section 3.3). It stands
// outside of the writers that look at the header, which see what the upstream
// said; but the answer says nothing of the mesh except where sessions are.
type renewalWriter struct {
	*reply.Writer
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
	w.ResponseWriter.WriteHeader(status)
}

func (w *renewalWriter) Write(p []byte) (int, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	return w.ResponseWriter.Write(p)
}

func (w *renewalWriter) ReadFrom(src io.Reader) (int64, error) {
	if !w.decided {
		w.WriteHeader(http.StatusOK)
	}
	return w.Writer.ReadFrom(src)
}

// RenewSession puts a renewal into the header of the answer to a session request.
func RenewSession(h http.Header, renewal *tokens.Renewal) { renew(h, renewal, "", http.StatusOK) }

// renew puts a renewal into the header of an answer.
func renew(h http.Header, renewal *tokens.Renewal, uri string, status int) {
	if cookie := renewal.SetCookie(); cookie != "" {
		h.Add("Set-Cookie", cookie)
		h.Del(reply.HeaderSegment)
		h.Del(reply.HeaderDigests)
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
