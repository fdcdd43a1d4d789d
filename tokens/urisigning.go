package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// DefaultAttribute is the URI Signing Package Attribute and the cookie's name
// where none is configured (RFC 9246 sections 3.3 and 4.4).
const DefaultAttribute = "URISigningPackage"

// URISigningConfig says what URI Signing (RFC 9246) accepts at a site.
type URISigningConfig struct {
	// Trust lists the keys and their issuers. Required. An edge should trust an
	// issuer for its own keys only.
	Trust []Trust
	// Algorithms to accept. Default: ES256, EdDSA, RS256. HS256 has to be asked
	// for: RFC 9246 recommends against shared keys.
	Algorithms []string
	// Audience lists the names this site goes by in aud. A token with an aud
	// that holds none of them is refused, and one without aud if there are any.
	Audience []string
	// Required lists claims that a token must have besides cdniuc, such as
	// "exp". Default: none, as in the RFC.
	Required []string
	// Attribute is the parameter's name. Default: DefaultAttribute.
	Attribute string
	// Cookie is the cookie's name. Default: DefaultAttribute.
	Cookie string
	// Header is the encoded JWT header to put before tokens that come without
	// one (RFC 9246 section 2.2, "jwt-header"). Default: none.
	Header string
	// Decrypt holds the keys for cdniip and sub, of use "enc". Without keys a
	// token with cdniip is refused, and an encrypted sub is not read.
	Decrypt *KeySet
	// Replay remembers jti values. Without it a token with jti is refused. Note
	// that a jti makes a token good for one request of each path, whatever the query, and for
	// no session: do not use it on live playlists.
	Replay ReplayStore
	// Extensions holds a check for each claim that cdnicrit may name. It gets
	// the claim's JSON and reports an error to refuse.
	Extensions map[string]func(value []byte, r Request) error
	// Signer signs renewed tokens. Without it tokens that ask for renewal are
	// accepted and not renewed.
	Signer *Signer
	// CookieDomain is the Domain of renewal cookies. Default: none, the host
	// alone.
	CookieDomain string
	// CookieSameSite is the SameSite of renewal cookies. Default: "None" with
	// https (players are often on another site), "Lax" with http.
	CookieSameSite string
	// Narrow refuses tokens that allow every path of the site, such as those whose
	// cdniuc is "regex:.*".
	Narrow bool
	// Remember bounds how many verified tokens are remembered, at about 2 KiB
	// each, or 6 KiB where each has a pattern of its own. Default 16384;
	// negative remembers none.
	Remember int
}

// URISigning is a Viewer for URI Signing (RFC 9246). Every refusal has status
// 403, as section 5 of the RFC has it.
type URISigning struct {
	config   URISigningConfig
	checker  *checker
	remember *Remember[*uriToken]
	failures *Remember[Refusal]
	// containers shares what many tokens have in common: the parsed cdniuc.
	containers *Remember[*uriContainer]
}

// uriToken is a verified token: everything about it that does not depend on the
// request.
type uriToken struct {
	verified   *verified
	subject    string
	site       string
	expires    time.Time // zero: never
	notBefore  time.Time
	id         string // jti
	hasID      bool
	address    netip.Prefix // cdniip; not valid where the claim is missing
	container  *uriContainer
	extensions []string // named by cdnicrit
	renewal    renewalTerms
}

const (
	defaultRemember = 16384
	maxContainers   = 1024
)

// NewURISigning checks a configuration and makes a Viewer of it.
func NewURISigning(config URISigningConfig) (*URISigning, error) {
	if len(config.Algorithms) == 0 {
		config.Algorithms = []string{ES256, EdDSA, RS256}
	}
	checker, err := newChecker(config.Trust, config.Algorithms)
	if err != nil {
		return nil, fmt.Errorf("uri signing: %w", err)
	}
	if config.Attribute == "" {
		config.Attribute = DefaultAttribute
	}
	if config.Cookie == "" {
		config.Cookie = DefaultAttribute
	}
	if !isParameterName(config.Attribute) || !isParameterName(config.Cookie) {
		return nil, errors.New("uri signing: attribute and cookie names may only hold letters, digits and - . _ ~")
	}
	if config.Header != "" {
		if _, err := decodeHeader(config.Header); err != nil {
			return nil, errors.New("uri signing: the header must be a JWT header in base64url")
		}
	}
	if strings.ContainsAny(config.CookieDomain, "; ,\r\n\t") {
		return nil, errors.New("uri signing: the cookie domain must be a host name")
	}
	if !slices.Contains([]string{"", "None", "Lax", "Strict"}, config.CookieSameSite) {
		return nil, errors.New("uri signing: same-site must be None, Lax or Strict")
	}
	for name := range config.Extensions {
		if slices.Contains(definedClaims, name) {
			return nil, fmt.Errorf("uri signing: claim %q is defined by RFC 9246 and cannot be an extension", name)
		}
	}
	if config.Remember == 0 {
		config.Remember = defaultRemember
	}
	return &URISigning{
		config: config, checker: checker,
		remember:   NewRemember[*uriToken](config.Remember),
		failures:   newFailures(config.Remember),
		containers: NewRemember[*uriContainer](min(config.Remember, maxContainers)),
	}, nil
}

// Verify implements Viewer. One token of a request is checked: of that in the URI and
// the cookies, in the order sent, the first that was verified before and allows the URI,
// else the first that says it is still valid, because a cookie may hold the renewal of
// an expired token in the URI.
func (u *URISigning) Verify(ctx context.Context, r Request) (Entitlement, error) {
	if r.Time.IsZero() {
		return Entitlement{}, errNoTime
	}
	tokens, clean, err := u.find(r)
	if err != nil {
		return Entitlement{}, withURI(err, clean)
	}
	e, err := u.verify(ctx, r, tokens, clean)
	return e, withURI(err, clean)
}

func (u *URISigning) verify(ctx context.Context, r Request, tokens []string, clean string) (Entitlement, error) {
	uri, err := normalizeURI(clean)
	if err != nil {
		return Entitlement{}, err
	}
	if len(tokens) == 0 {
		return Entitlement{}, refuse(ReasonMissing, "the request carries no token")
	}
	entitlement, err := u.verifyToken(ctx, r, u.choose(r, tokens, uri), uri)
	entitlement.URI = clean
	return entitlement, err
}

// choose returns the token to check.
func (u *URISigning) choose(r Request, tokens []string, uri normalURI) string {
	if len(tokens) == 1 {
		return tokens[0]
	}
	for _, token := range tokens {
		if t, ok := u.remember.Get(token, r.Time); ok && t.container.matches(uri) {
			return token
		}
	}
	for _, token := range tokens {
		if claimsToLive(token, r.Time) {
			return token
		}
	}
	return tokens[0]
}

// Trusts implements Viewer.
func (u *URISigning) Trusts(ctx context.Context, key [32]byte) (trusted, known bool) {
	return u.checker.trusts(ctx, key)
}

// Parameters implements Viewer.
func (u *URISigning) Parameters() []string { return []string{u.config.Attribute} }

// find gives the tokens of a request, best first, and its URI without them.
func (u *URISigning) find(r Request) (tokens []string, clean string, err error) {
	token, clean, ok := cutToken(r.URI, u.config.Attribute, pathParameter, formParameter)
	if _, _, twice := cutToken(clean, u.config.Attribute, pathParameter, formParameter); twice {
		clean = cutAll(clean, u.config.Attribute, pathParameter, formParameter)
		return nil, clean, refuse(ReasonMalformedURI, "the URI holds two tokens")
	}
	if r.Token != "" {
		return []string{r.Token}, clean, nil
	}
	if ok {
		tokens = append(tokens, token)
	}
	return append(tokens, cookieValues(r.Header, u.config.Cookie)...), clean, nil
}

// verifyToken checks one token against a request.
func (u *URISigning) verifyToken(ctx context.Context, r Request, token string, uri normalURI) (Entitlement, error) {
	t, ok := u.remember.Get(token, r.Time)
	if ok && !t.verified.current(ctx) {
		u.remember.Forget(token)
		ok = false
	}
	if !ok {
		var err error
		if t, err = remembering(u.failures, token, r.Time, func() (*uriToken, error) { return u.readToken(ctx, token) }); err != nil {
			return Entitlement{}, err
		}
		if t.expires.IsZero() || r.Time.Before(t.expires) {
			u.remember.Put(token, t, t.expires)
		}
	}
	if err := u.admit(ctx, r, t, uri); err != nil {
		return Entitlement{}, err
	}
	e := Entitlement{
		Subject: t.subject, Site: t.site, Issuer: t.verified.issuer, Key: t.verified.key, Expires: t.expires,
		Grant: containerGrant{t.container, uri.site, uri.path},
	}
	e.Renewal, e.RenewalErr = t.renew(&u.config, r.Time, uri)
	return e, nil
}

// admit checks what depends on the request: time, address, URI, and last, so
// that a refused request does not use it up, the one-time id.
func (u *URISigning) admit(ctx context.Context, r Request, t *uriToken, uri normalURI) error {
	if !t.expires.IsZero() && !r.Time.Before(t.expires) {
		return refuse(ReasonExpired, "the token has expired")
	}
	if r.Time.Before(t.notBefore) {
		return refuse(ReasonNotYetValid, "the token is not valid yet")
	}
	for _, name := range t.extensions {
		if err := u.config.Extensions[name](t.verified.claims[name], r); err != nil {
			return refuse(ReasonCritical, "an extension claim was not met")
		}
	}
	if t.address.IsValid() && !t.address.Contains(r.ClientIP.Unmap().WithZone("")) {
		return refuse(ReasonClientIP, "the token is for another address")
	}
	if !t.container.matches(uri) {
		return refuse(ReasonURI, "the token does not allow this URI")
	}
	if u.config.Narrow && scopeOf(t.container.cones, uri.site, "/") != nil {
		return refuse(ReasonEverything, "the token allows every path of the site")
	}
	if !t.hasID {
		return nil
	}
	if u.config.Replay == nil {
		return refuse(ReasonReplayStore, "the token has a jti and no replay store is configured")
	}
	if r.Session {
		return refuse(ReasonReplayed, "a one-time token opens no session")
	}
	use := Use{ID: replayID(t.verified.issuer, t.id, uri), Account: replayAccount(t), Expires: t.expires}
	err := u.config.Replay.Use(ctx, use, r.Time)
	switch {
	case errors.Is(err, ErrReplayed):
		return refuse(ReasonReplayed, "the token was used before for this URI")
	case errors.Is(err, ErrReplayFull):
		return refuse(ReasonReplayStore, "the replay store is full, or has too many tokens of this account: raise replay, or issue tokens that live shorter")
	case err != nil:
		return refuse(ReasonReplayStore, "the replay store cannot record the token")
	}
	return nil
}

// containerGrant is the Grant of a URI container, for the scheme and authority of the
// URI that was verified. path is that URI's.
type containerGrant struct {
	container *uriContainer
	site      string // "https://host"
	path      string
}

func (g containerGrant) Allows(uri string) bool {
	n, err := normalizeURI(uri)
	return err == nil && g.container.matches(n)
}

func (g containerGrant) Scope() []string { return scopeOf(g.container.cones, g.site, g.path) }

var _ Viewer = (*URISigning)(nil)
