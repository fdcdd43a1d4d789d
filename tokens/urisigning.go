package tokens

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
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
	// that a jti makes a token good for one request of each URI: do not use it
	// on live playlists.
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
	// Remember bounds how many verified tokens are remembered, at about 2 KiB
	// each. Default 16384; negative remembers none.
	Remember int
}

// URISigning is a Viewer for URI Signing (RFC 9246). Every refusal has status
// 403, as section 5 of the RFC has it.
type URISigning struct {
	config   URISigningConfig
	checker  *checker
	remember *Remember[*uriToken]
}

// uriToken is a verified token: everything about it that does not depend on the
// request.
type uriToken struct {
	verified   *verified
	subject    string
	expires    time.Time // zero: never
	notBefore  time.Time
	id         string // jti
	hasID      bool
	address    netip.Prefix // cdniip; not valid where the claim is missing
	container  *uriContainer
	extensions []string // named by cdnicrit
	renewal    renewalTerms
}

const defaultRemember = 16384

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
	return &URISigning{config: config, checker: checker, remember: NewRemember[*uriToken](config.Remember)}, nil
}

// Verify implements Viewer. A token in the URI is taken first; if it is refused
// or there is none, cookies are tried in the order sent, because a cookie may
// hold the renewal of an expired token in the URI.
func (u *URISigning) Verify(ctx context.Context, r Request) (Entitlement, error) {
	if r.Time.IsZero() {
		return Entitlement{}, errNoTime
	}
	tokens, clean, err := u.find(r)
	if err != nil {
		return Entitlement{}, err
	}
	uri, err := normalizeURI(clean)
	if err != nil {
		return Entitlement{}, err
	}
	var first error
	for _, token := range tokens {
		entitlement, err := u.verifyToken(ctx, r, token, uri)
		if err == nil {
			entitlement.URI = clean
			return entitlement, nil
		}
		if first == nil {
			first = err
		}
	}
	if first == nil {
		first = refuse(ReasonMissing, "the request carries no token")
	}
	return Entitlement{}, first
}

// find gives the tokens of a request, best first, and its URI without them.
func (u *URISigning) find(r Request) (tokens []string, clean string, err error) {
	token, clean, ok := cutToken(r.URI, u.config.Attribute, pathParameter, formParameter)
	if _, _, twice := cutToken(clean, u.config.Attribute, pathParameter, formParameter); twice {
		return nil, "", refuse(ReasonMalformedURI, "the URI holds two tokens")
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
		if t, err = u.readToken(ctx, token); err != nil {
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
		Subject: t.subject, Issuer: t.verified.issuer, Expires: t.expires,
		Grant: containerGrant{container: t.container, path: uri.path},
	}
	var err error
	e.Renewal, err = u.renew(t, r.Time, uri)
	return e, err
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
	if !t.hasID {
		return nil
	}
	if u.config.Replay == nil {
		return refuse(ReasonReplayStore, "the token has a jti and no replay store is configured")
	}
	err := u.config.Replay.Use(ctx, replayID(t.verified.issuer, t.id, uri.text), r.Time, t.expires)
	switch {
	case errors.Is(err, ErrReplayed):
		return refuse(ReasonReplayed, "the token was used before for this URI")
	case err != nil:
		return refuse(ReasonReplayStore, "the replay store cannot record the token")
	}
	return nil
}

// readToken verifies a token and reads its claims (RFC 9246 section 2.1).
func (u *URISigning) readToken(ctx context.Context, token string) (*uriToken, error) {
	if u.config.Header != "" && strings.Count(token, ".") == 1 {
		token = u.config.Header + "." + token
	}
	v, err := u.checker.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	t := &uriToken{verified: v}
	c := v.claims
	if err := checkVersion(c); err != nil {
		return nil, err
	}
	if t.extensions, err = u.criticalClaims(c); err != nil {
		return nil, err
	}
	if err := c.require(u.config.Required); err != nil {
		return nil, err
	}
	if t.subject, err = u.readSubject(c); err != nil {
		return nil, err
	}
	if err := c.checkAudience(u.config.Audience); err != nil {
		return nil, err
	}
	if t.expires, _, err = c.date("exp"); err != nil {
		return nil, err
	}
	if t.notBefore, _, err = c.date("nbf"); err != nil {
		return nil, err
	}
	if _, _, err = c.date("iat"); err != nil {
		return nil, err
	}
	if t.id, t.hasID, err = c.text("jti"); err != nil {
		return nil, err
	}
	if t.renewal, err = readRenewalTerms(c); err != nil {
		return nil, err
	}
	if t.address, err = u.readAddress(c); err != nil {
		return nil, err
	}
	container, ok, err := c.text("cdniuc")
	if err != nil || !ok {
		return nil, refuse(ReasonURI, "the token has no URI container (cdniuc)")
	}
	t.container, err = parseContainer(container)
	return t, err
}

// definedClaims are the names RFC 9246 defines, which cdnicrit must not list.
var definedClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cdniv", "cdnicrit", "cdniip", "cdniuc", "cdniets", "cdnistt", "cdnistd",
}

// checkVersion reads cdniv (section 2.1.8): 1, also where it is missing.
func checkVersion(c claimSet) error {
	if raw, ok := c["cdniv"]; ok && string(raw) != "1" {
		return refuse(ReasonVersion, "the claim set's version is not 1")
	}
	return nil
}

// criticalClaims reads cdnicrit (section 2.1.9), a comma-separated list of
// claims that must be understood.
func (u *URISigning) criticalClaims(c claimSet) ([]string, error) {
	list, ok, err := c.text("cdnicrit")
	if err != nil || !ok {
		return nil, err
	}
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch {
		case slices.Contains(definedClaims, name), slices.Contains(names, name), !c.has(name):
			return nil, refuse(ReasonCritical, "the list of critical claims breaks its rules")
		case u.config.Extensions[name] == nil:
			return nil, refuse(ReasonCritical, "the token demands an extension that is not understood")
		}
		names = append(names, name)
	}
	return names, nil
}

// readSubject reads sub (section 2.1.2), which must be encrypted.
func (u *URISigning) readSubject(c claimSet) (string, error) {
	sealed, ok, err := c.text("sub")
	if err != nil || !ok {
		return "", err
	}
	subject, err := decryptClaim(u.config.Decrypt, sealed)
	switch {
	case errors.Is(err, errNotJWE):
		return "", refuse(ReasonSubject, "the subject is not encrypted")
	case err != nil && u.config.Decrypt != nil:
		return "", refuse(ReasonSubject, "the subject cannot be decrypted")
	}
	return subject, nil
}

// readAddress reads cdniip (section 2.1.10), which must be encrypted. The RFC's
// own example writes the prefix in square brackets.
func (u *URISigning) readAddress(c claimSet) (netip.Prefix, error) {
	sealed, ok, err := c.text("cdniip")
	if err != nil || !ok {
		return netip.Prefix{}, err
	}
	text, err := decryptClaim(u.config.Decrypt, sealed)
	if err != nil {
		return netip.Prefix{}, refuse(ReasonClientIP, "the client address cannot be decrypted")
	}
	if strings.HasPrefix(text, "[") {
		text = strings.TrimSuffix(text[1:], "]")
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, refuse(ReasonClientIP, "the client address is neither an address nor a prefix")
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if addr := prefix.Addr(); addr.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, refuse(ReasonClientIP, "the client address is neither an address nor a prefix")
		}
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}

// replayID names one use: an issuer's jti for one content (section 2.1.7).
func replayID(issuer, id, uri string) [32]byte {
	raw, _ := json.Marshal([]string{issuer, id, uri}) // strings always encode
	return sha256.Sum256(raw)
}

// containerGrant is the Grant of a URI container. path is the path of the URI
// that was verified, which is all that is known of a hash.
type containerGrant struct {
	container *uriContainer
	path      string
}

func (g containerGrant) Allows(uri string) bool {
	n, err := normalizeURI(uri)
	return err == nil && g.container.matches(n)
}

func (g containerGrant) Scope() []string {
	if g.container.pattern != nil {
		return []string{g.container.scope}
	}
	if !isPlainPath(g.path) {
		return nil
	}
	return []string{g.path}
}

var _ Viewer = (*URISigning)(nil)
