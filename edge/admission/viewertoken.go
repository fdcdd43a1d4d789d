package admission

import (
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/edge/internal/reply"
	"github.com/viewmesh/viewmesh/tokens"
)

// Server is how the web server around the edge sees a request.
type Server struct {
	// ClientAddr returns the viewer's address, trusted proxies considered.
	ClientAddr func(*http.Request) netip.Addr
	// HTTPS reports whether the viewer asked over HTTPS: its TLS ends here, or at a
	// trusted proxy that says so.
	HTTPS func(*http.Request) bool
}

// absoluteURI returns a URL of this request's site as the viewer wrote it.
func (s *Server) absoluteURI(r *http.Request, u *url.URL) string {
	scheme := "http://"
	if s.HTTPS(r) {
		scheme = "https://"
	}
	return scheme + r.Host + u.RequestURI()
}

// checked is what the viewer token of one request came to.
type checked struct {
	entitlement tokens.Entitlement
	// refused says why there is none; nil with an entitlement.
	refused *tokens.Refusal
}

// checker checks viewer tokens, counts and logs what comes of them.
type checker struct {
	server   Server
	log      *zap.Logger
	now      func() time.Time
	verdicts verdicts
}

// check checks the viewer token of a request for uri. token is one that came in a
// body, "" for none. An error is a fault of this server.
func (c *checker) check(r *http.Request, t *ViewerTokens, uri, token string) (checked, error) {
	return c.verify(r, t, tokens.Request{URI: uri, Token: token})
}

// checkSession is check for a session, and for statements, which go with one.
func (c *checker) checkSession(r *http.Request, t *ViewerTokens, uri, token string) (checked, error) {
	return c.verify(r, t, tokens.Request{URI: uri, Token: token, Session: true})
}

func (c *checker) verify(r *http.Request, t *ViewerTokens, q tokens.Request) (checked, error) {
	q.Method, q.Header, q.ClientIP, q.Time = r.Method, r.Header, c.server.ClientAddr(r), c.now()
	e, err := t.Verifier.Verify(r.Context(), q)
	var refused *tokens.Refusal
	switch {
	case err == nil:
		return checked{entitlement: e}, nil
	case errors.As(err, &refused):
		return checked{refused: refused}, nil
	}
	return checked{}, fmt.Errorf("verify viewer token: %w", err)
}

// note counts the outcome of a request and logs what an operator has to know;
// where says what was asked for, "manifest", "segment", "media", "session" or "statement". It
// never sees the token, the path, which may hold it, or an address.
func (c *checker) note(a checked, t *ViewerTokens, where string) {
	c.verdicts.count(t.Enforce, a.refused)
	if a.refused != nil {
		c.log.Info("viewer token refused", zap.String("reason", string(a.refused.Reason)),
			zap.String("s_uri_signing", a.refused.Reason.URISigningCode()),
			zap.String("detail", a.refused.Detail), zap.String("request", where), zap.String("enforce", t.Enforce))
		return
	}
	if err := a.entitlement.RenewalErr; err != nil {
		c.log.Warn("viewer token cannot be renewed", zap.Error(err))
	}
}

// RefuseViewer answers a viewer without entitlement.
func RefuseViewer(w http.ResponseWriter, refused *tokens.Refusal) error {
	switch refused.Status {
	case http.StatusUnauthorized:
		challenge := "Bearer"
		if refused.Reason != tokens.ReasonMissing {
			challenge = `Bearer error="invalid_token"` // RFC 6750, section 3.1
		}
		w.Header().Set("WWW-Authenticate", challenge)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "5")
	}
	return reply.Refuse(w, refused.Status, "token_"+string(refused.Reason), refused.Detail)
}
