package tokens

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// JWTConfig says which plain JWTs (RFC 7519) are accepted at a site.
type JWTConfig struct {
	// Trust lists the keys and their issuers. Required.
	Trust []Trust
	// Algorithms to accept, of HS256, ES256, RS256 and EdDSA. Required.
	Algorithms []string
	// Audience lists the names this site goes by in aud. A token with an aud
	// that holds none of them is refused, and one without aud if there are any.
	Audience []string
	// From lists the places to look for a token, in order. Default: the
	// Authorization header.
	From []Lookup
	// PathsClaim names the claim that lists the allowed paths, a string or an
	// array of strings in the sense of CoversPath; a trailing "*" is taken as
	// "any below". A token without the claim is then refused. Empty: a good
	// token allows every path.
	PathsClaim string
	// Type is what the header's typ must be, such as "at+jwt", without regard to
	// case and to a leading "application/". Empty: any but those of the mesh.
	Type string
	// Required lists further claims that a token must have. exp is required
	// unless AllowNoExpiry.
	Required []string
	// AllowNoExpiry accepts tokens without exp, which never die.
	AllowNoExpiry bool
	// Leeway is for clocks that differ: exp and nbf are stretched by it. 0 to 5
	// minutes. Default 0.
	Leeway time.Duration
	// Narrow refuses tokens that allow every path.
	Narrow bool
	// Remember bounds how many verified tokens are remembered, at about 2 KiB
	// each. Default 16384; negative remembers none.
	Remember int
}

// Place is a part of a request where a token may be.
type Place string

// The places there are.
const (
	InQuery  Place = "query"  // "?name=JWT"
	InHeader Place = "header" // "name: JWT" or "name: Bearer JWT"
	InCookie Place = "cookie" // the cookie called name
	InPath   Place = "path"   // ";name=JWT" behind a segment, or the segment "/name=JWT"
)

// Lookup is one place to look for a token.
type Lookup struct {
	Place Place
	Name  string
}

// JWT is a Viewer for plain JWTs. A refusal has status 401 where another token
// would help (none, malformed, expired, not trusted) and 403 where this viewer
// may not have this resource.
type JWT struct {
	config   JWTConfig
	checker  *checker
	remember *Remember[*plainToken]
	failures *Remember[Refusal]
}

// plainToken is a verified JWT: everything about it but the request.
type plainToken struct {
	verified  *verified
	subject   string
	site      string
	expires   time.Time // with leeway; zero: never
	notBefore time.Time // with leeway
	paths     pathGrant
}

const maxLeeway = 5 * time.Minute

// NewJWT checks a configuration and makes a Viewer of it.
func NewJWT(config JWTConfig) (*JWT, error) {
	checker, err := newChecker(config.Trust, config.Algorithms)
	if err != nil {
		return nil, fmt.Errorf("jwt: %w", err)
	}
	if len(config.From) == 0 {
		config.From = []Lookup{{InHeader, "Authorization"}}
	}
	config.From = slices.Clone(config.From)
	for i, from := range config.From {
		switch from.Place {
		case InQuery, InHeader, InCookie, InPath:
		default:
			return nil, fmt.Errorf("jwt: place %q is not one of query, header, cookie, path", from.Place)
		}
		if !isParameterName(from.Name) {
			return nil, fmt.Errorf("jwt: the name of a %s may only hold letters, digits and - . _ ~", from.Place)
		}
		if from.Place == InHeader {
			config.From[i].Name = canonicalHeader(from.Name)
		}
	}
	if config.Leeway < 0 || config.Leeway > maxLeeway {
		return nil, errors.New("jwt: leeway must be 0 to 5 minutes")
	}
	if config.Remember == 0 {
		config.Remember = defaultRemember
	}
	return &JWT{config: config, checker: checker, remember: NewRemember[*plainToken](config.Remember), failures: newFailures(config.Remember)}, nil
}

// Trusts implements Viewer.
func (j *JWT) Trusts(ctx context.Context, key [32]byte) (trusted, known bool) {
	return j.checker.trusts(ctx, key)
}

// Parameters implements Viewer.
func (j *JWT) Parameters() (names []string) {
	for _, from := range j.config.From {
		if from.Place == InQuery || from.Place == InPath {
			names = append(names, from.Name)
		}
	}
	return names
}

// Verify implements Viewer.
func (j *JWT) Verify(ctx context.Context, r Request) (Entitlement, error) {
	if r.Time.IsZero() {
		return Entitlement{}, errNoTime
	}
	e, err := j.verify(ctx, r)
	var refusal *Refusal
	if errors.As(err, &refusal) {
		switch refusal.Reason {
		case ReasonURI, ReasonEverything, ReasonMalformedURI, ReasonKeysUnavailable:
		default:
			refusal.Status = 401
		}
	}
	return e, err
}

func (j *JWT) verify(ctx context.Context, r Request) (Entitlement, error) {
	token, clean, field, err := j.find(r)
	if err != nil {
		return Entitlement{}, withURI(err, clean)
	}
	e, err := j.verifyToken(ctx, r, token, clean)
	e.Field = field
	return e, withURI(err, clean)
}

func (j *JWT) verifyToken(ctx context.Context, r Request, token, clean string) (Entitlement, error) {
	uri, err := normalizeURI(clean)
	if err != nil {
		return Entitlement{}, err
	}
	if token == "" {
		return Entitlement{}, refuse(ReasonMissing, "the request carries no token")
	}
	t, ok := j.remember.Get(token, r.Time)
	if ok && !t.verified.current(ctx) {
		j.remember.Forget(token)
		ok = false
	}
	if !ok {
		if t, err = remembering(j.failures, token, r.Time, func() (*plainToken, error) { return j.readToken(ctx, token) }); err != nil {
			return Entitlement{}, err
		}
		if t.expires.IsZero() || r.Time.Before(t.expires) {
			j.remember.Put(token, t, t.expires)
		}
	}
	switch {
	case !t.expires.IsZero() && !r.Time.Before(t.expires):
		return Entitlement{}, refuse(ReasonExpired, "the token has expired")
	case r.Time.Before(t.notBefore):
		return Entitlement{}, refuse(ReasonNotYetValid, "the token is not valid yet")
	case !t.paths.covers(uri.path):
		return Entitlement{}, refuse(ReasonURI, "the token does not allow this path")
	case j.config.Narrow && t.paths.covers("/"):
		return Entitlement{}, refuse(ReasonEverything, "the token allows every path of the site")
	}
	return Entitlement{
		Subject: t.subject, Site: t.site, Issuer: t.verified.issuer, Key: t.verified.key, Expires: t.expires, URI: clean, Grant: t.paths,
	}, nil
}

// find returns the first token in the order configured, empty where there is none,
// the header field that held it, if one did, and the URI without any token, whichever
// was taken, with an error too.
func (j *JWT) find(r Request) (token, clean, field string, err error) {
	clean = r.URI
	twice := false
	for _, from := range j.config.From {
		var found string
		switch from.Place {
		case InHeader:
			found = headerToken(r.Header[from.Name])
		case InCookie:
			if values := cookieValues(r.Header, from.Name); len(values) > 0 {
				found = values[0]
			}
		case InQuery, InPath:
			styles := []style{formParameter}
			if from.Place == InPath {
				styles = []style{pathParameter, pathSegment}
			}
			var ok bool
			if found, clean, ok = cutToken(clean, from.Name, styles...); ok {
				if _, _, again := cutToken(clean, from.Name, styles...); again {
					clean, twice = cutAll(clean, from.Name, styles...), true
				}
			}
		}
		if token == "" && found != "" {
			token = found
			if from.Place == InHeader {
				field = from.Name
			}
		}
	}
	if twice {
		return "", clean, "", refuse(ReasonMalformedURI, "the URI holds two tokens")
	}
	if r.Token != "" {
		token, field = r.Token, ""
	}
	return token, clean, field, nil
}

// headerToken takes a token from a header field, with or without the Bearer
// scheme (RFC 6750 section 2.1). A doubled field gives none.
func headerToken(values []string) string {
	if len(values) != 1 {
		return ""
	}
	value := strings.TrimSpace(values[0])
	if scheme, rest, ok := strings.Cut(value, " "); ok {
		if !strings.EqualFold(scheme, "Bearer") {
			return ""
		}
		value = strings.TrimSpace(rest)
	}
	return value
}

// readToken verifies a token and reads its claims.
func (j *JWT) readToken(ctx context.Context, token string) (*plainToken, error) {
	v, err := j.checker.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	t := &plainToken{verified: v}
	if want := j.config.Type; want != "" && !strings.EqualFold(strings.TrimPrefix(strings.ToLower(v.typ), "application/"), want) {
		return nil, refuse(ReasonMalformed, "the token is of another type")
	}
	c := v.claims
	if err := c.require(j.config.Required); err != nil {
		return nil, err
	}
	if err := c.checkAudience(j.config.Audience); err != nil {
		return nil, err
	}
	if t.subject, _, err = c.text("sub"); err != nil {
		return nil, err
	}
	t.site, _, _ = c.text("siteId") // one that is no string names no site
	var ok bool
	if t.expires, ok, err = c.date("exp"); err != nil {
		return nil, err
	}
	if ok {
		t.expires = t.expires.Add(j.config.Leeway)
	} else if !j.config.AllowNoExpiry {
		return nil, refuse(ReasonExpired, "the token has no expiry")
	}
	if t.notBefore, ok, err = c.date("nbf"); err != nil {
		return nil, err
	}
	if ok {
		t.notBefore = t.notBefore.Add(-j.config.Leeway)
	}
	t.paths, err = j.readPaths(c)
	return t, err
}

// readPaths reads the claim of allowed paths.
func (j *JWT) readPaths(c claimSet) (pathGrant, error) {
	if j.config.PathsClaim == "" {
		return pathGrant{everything: true}, nil
	}
	paths, ok, err := c.texts(j.config.PathsClaim)
	if err != nil {
		return pathGrant{}, err
	}
	if !ok {
		return pathGrant{}, refuse(ReasonURI, "the token has no claim of allowed paths")
	}
	var g pathGrant
	for _, path := range paths {
		path = strings.TrimSuffix(path, "*")
		if !isPlainPath(path) {
			return pathGrant{}, refuse(ReasonURI, "an allowed path must start with \"/\" and hold no wildcard but one at its end")
		}
		g.prefixes = append(g.prefixes, path)
	}
	return g, nil
}

// pathGrant is a Grant of path prefixes.
type pathGrant struct {
	prefixes   []string
	everything bool
}

func (g pathGrant) covers(path string) bool {
	return g.everything || slices.ContainsFunc(g.prefixes, func(prefix string) bool { return CoversPath(prefix, path) })
}

func (g pathGrant) Allows(uri string) bool {
	n, err := normalizeURI(uri)
	return err == nil && g.covers(n.path)
}

func (g pathGrant) Scope() []string {
	if g.everything {
		return []string{"/"}
	}
	return slices.Clone(g.prefixes)
}

// canonicalHeader spells a field name as net/http's Header does.
func canonicalHeader(name string) string {
	out := []byte(name)
	upper := true
	for i, c := range out {
		switch {
		case upper && 'a' <= c && c <= 'z':
			out[i] = c - 'a' + 'A'
		case !upper && 'A' <= c && c <= 'Z':
			out[i] = c - 'A' + 'a'
		}
		upper = c == '-'
	}
	return string(out)
}

var _ Viewer = (*JWT)(nil)
