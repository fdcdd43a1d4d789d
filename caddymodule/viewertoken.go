package caddymodule

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// The values of Enforce.
const (
	EnforceRequire = "require"
	EnforceObserve = "observe"
	EnforceOff     = "off"
)

// ViewerTokens says which viewers are entitled to the site's streams.
type ViewerTokens struct {
	// Enforce says what becomes of a request without a good token: "require"
	// refuses it, "observe" counts and logs it and lets it through, "off" looks at
	// no token. Default: require.
	Enforce string `json:"enforce,omitempty"`

	// VerifierRaw is the format of the tokens: a module of the namespace
	// mesh.tokens, such as urisigning (RFC 9246) or jwt. Required.
	VerifierRaw json.RawMessage `json:"verifier,omitempty" caddy:"namespace=mesh.tokens inline_key=format"`

	verifier tokens.Viewer
	names    string // of tokens in URLs, with spaces between
}

// provision loads the guest module.
func (t *ViewerTokens) provision(ctx caddy.Context) error {
	if t.Enforce == "" {
		t.Enforce = EnforceRequire
	}
	if t.VerifierRaw == nil {
		return errors.New("token has no verifier: give a format, such as urisigning or jwt")
	}
	mod, err := ctx.LoadModule(t, "VerifierRaw")
	if err != nil {
		return fmt.Errorf("load the verifier of token: %w", err)
	}
	v, ok := mod.(tokens.Viewer)
	if !ok {
		return fmt.Errorf("the verifier of token is a %T, which verifies no viewer tokens", mod)
	}
	t.verifier = v
	t.names = strings.Join(v.Parameters(), " ")
	return nil
}

// validate says what is wrong with the configuration.
func (t *ViewerTokens) validate() error {
	switch t.Enforce {
	case EnforceRequire, EnforceObserve, EnforceOff:
		return nil
	}
	return fmt.Errorf("token enforce %q: give require, observe or off", t.Enforce)
}

// enforced says whether viewer tokens are looked at.
func (h *Handler) enforced() bool { return h.Token != nil && h.Token.Enforce != EnforceOff }

// tokenNames are the names of viewer tokens in URLs, with spaces between, "" for
// none. Viewers take them out to know which of their segments are the same.
func (h *Handler) tokenNames() string {
	if !h.enforced() {
		return ""
	}
	return h.Token.names
}

// admission is what the viewer token of one request came to.
type admission struct {
	entitlement tokens.Entitlement
	// refused says why there is none; nil with an entitlement.
	refused *tokens.Refusal
}

// verify checks the viewer token of a request for uri. token is one that came in
// a body, "" for none. It counts and logs what comes of it; where says what was
// asked for, "manifest", "segment", "media" or "session". An error is a fault of
// this server.
func (h *Handler) verify(r *http.Request, uri, token string) (admission, error) {
	e, err := h.Token.verifier.Verify(r.Context(), tokens.Request{
		Method: r.Method, URI: uri, Header: r.Header, Token: token, ClientIP: clientAddr(r), Time: h.rt.now(),
	})
	var refused *tokens.Refusal
	switch {
	case err == nil:
		return admission{entitlement: e}, nil
	case errors.As(err, &refused):
		return admission{refused: refused}, nil
	}
	return admission{}, fmt.Errorf("verify viewer token: %w", err)
}

// note counts the outcome of a request and logs what an operator has to know.
// It never sees the token, the path, which may hold it, or an address.
func (h *Handler) note(a admission, where string) {
	h.rt.verdicts.count(h.Token.Enforce, a.refused)
	if a.refused != nil {
		h.logger.Info("viewer token refused", zap.String("reason", string(a.refused.Reason)),
			zap.String("s_uri_signing", a.refused.Reason.URISigningCode()),
			zap.String("detail", a.refused.Detail), zap.String("request", where), zap.String("enforce", h.Token.Enforce))
		return
	}
	if err := a.entitlement.RenewalErr; err != nil {
		h.logger.Warn("viewer token cannot be renewed", zap.Error(err))
	}
}

// absoluteURI is a URL of this request's site as the viewer wrote it: https where
// the viewer's TLS ends here or at a trusted proxy that says so.
func absoluteURI(r *http.Request, u *url.URL) string {
	scheme := "http"
	if r.TLS != nil {
		scheme = "https"
	} else if trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool); trusted &&
		strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https") {
		scheme = "https"
	}
	return scheme + "://" + r.Host + u.RequestURI()
}

// gate checks the viewer token of a request that is none for an endpoint. It
// takes the token out of the request and gives the URL without it, by which the
// request is known from there on, and the writer to answer to. handled says that
// the request was refused.
func (h *Handler) gate(w http.ResponseWriter, r *http.Request, host string, u *url.URL) (_ http.ResponseWriter, _ *url.URL, handled bool, err error) {
	if r.Method == http.MethodOptions {
		return w, u, false, nil
	}
	if h.isPageAsset(host, u) {
		return &gateWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, handler: h, verify: func() (admission, error) {
			return h.verify(r, absoluteURI(r, u), "")
		}}, u, false, nil
	}
	a, err := h.verify(r, absoluteURI(r, u), "")
	if err != nil {
		return w, u, true, err
	}
	clean := a.entitlement.URI
	if a.refused != nil {
		clean = a.refused.URI
	}
	if clean != "" {
		if u, err = cleanRequest(r, u, clean); err != nil {
			return w, u, true, err
		}
	}
	where := h.kindOf(host, u)
	if where == "" {
		if a.refused != nil {
			// What it is turns out with the response.
			return &gateWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, handler: h, admission: a, unnamed: true}, u, false, nil
		}
		where = "media"
	}
	h.note(a, where)
	if a.refused != nil {
		if h.Token.Enforce == EnforceRequire {
			return w, u, true, refuseViewer(w, a.refused)
		}
		return w, u, false, nil
	}
	if renewal := a.entitlement.Renewal; renewal != nil && (where != "segment" || due(renewal, a.entitlement, h.rt.now())) {
		w = &renewalWriter{ResponseWriterWrapper: &caddyhttp.ResponseWriterWrapper{ResponseWriter: w}, renewal: renewal, uri: absoluteURI(r, u)}
	}
	return w, u, false, nil
}

// kindOf says what a request is for by its URL: "manifest", "segment", "media",
// or "" if that cannot be said.
func (h *Handler) kindOf(host string, u *url.URL) string {
	switch ext := strings.ToLower(path.Ext(u.Path)); {
	case h.rt.catalog.segment(host, u.EscapedPath()) != nil:
		return "segment"
	case manifest.IsManifestName(u.Path):
		return "manifest"
	case mediaExtensions[ext]:
		return "media"
	}
	return ""
}

// mediaExtensions are those of files that are refused by their name without a
// token; others are refused once the response says what they are.
var mediaExtensions = map[string]bool{}

// pageExtensions are those of files that make up the page around a player,
// which needs no token, unless a manifest lists them as segments.
var pageExtensions = map[string]bool{}

func init() {
	for _, e := range strings.Fields(".ts .m4s .mp4 .m4a .m4v .m4f .cmfv .cmfa .cmft .aac .ac3 .ec3 .mp3 .webm .mkv .vtt .ttml .key") {
		mediaExtensions[e] = true
	}
	for _, e := range strings.Fields(`.html .htm .css .js .mjs .map .json .webmanifest .txt .ico .png .jpg .jpeg .gif .svg
		.webp .avif .woff .woff2 .ttf .wasm`) {
		pageExtensions[e] = true
	}
}

// isPageAsset says whether a request is for the page around a player, by its
// extension. A segment that a manifest lists under such a name is not, however
// its path is spelled.
func (h *Handler) isPageAsset(host string, u *url.URL) bool {
	if !pageExtensions[strings.ToLower(path.Ext(u.Path))] || strings.Contains(u.Path, ";") {
		return false
	}
	plain := url.URL{Path: path.Clean("/" + u.Path)}
	return h.rt.catalog.segment(host, u.EscapedPath()) == nil && h.rt.catalog.segment(host, plain.EscapedPath()) == nil
}

// refuseViewer answers a viewer without entitlement.
func refuseViewer(w http.ResponseWriter, refused *tokens.Refusal) error {
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
	return refuse(w, refused.Status, "token_"+string(refused.Reason), refused.Detail)
}

// cleanRequest takes the token out of r, for whoever handles it next, and gives
// u, the URL as the viewer asked for it, without it. clean is u in its absolute
// form without the token.
func cleanRequest(r *http.Request, u *url.URL, clean string) (*url.URL, error) {
	c, err := url.Parse(clean)
	if err != nil {
		return nil, fmt.Errorf("read the URI without its token: %w", err)
	}
	out := *u
	out.Path, out.RawPath, out.RawQuery, out.ForceQuery = c.Path, c.RawPath, c.RawQuery, c.ForceQuery
	if u.RequestURI() == out.RequestURI() {
		return u, nil
	}
	// r.URL is another one than u where a handler before has rewritten it.
	inner := *r.URL
	inner.RawQuery = without(inner.RawQuery, u.RawQuery, out.RawQuery)
	inner.ForceQuery = false
	escaped := without(inner.EscapedPath(), u.EscapedPath(), out.EscapedPath())
	if inner.Path, err = url.PathUnescape(escaped); err != nil {
		return nil, fmt.Errorf("read the path without its token: %w", err)
	}
	inner.RawPath = escaped
	r.URL, r.RequestURI = &inner, inner.RequestURI()
	caddyhttp.SetVar(r.Context(), varURL, &out)
	return &out, nil
}

// without takes out of s what makes before longer than after, wherever that
// stands in s. Where s has it not whole, s has been rewritten to something else.
func without(s, before, after string) string {
	if s == before {
		return after
	}
	if len(after) >= len(before) {
		return s
	}
	head := 0
	for head < len(after) && before[head] == after[head] {
		head++
	}
	return strings.Replace(s, before[head:head+len(before)-len(after)], "", 1)
}
