package tokens

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Transport says how a renewed token reaches the viewer (cdnistt, RFC 9246
// section 6.5).
type Transport int

// The transports there are.
const (
	TransportNone   Transport = 0 // no renewal
	TransportCookie Transport = 1 // Set-Cookie on the 2xx or 3xx answer
	TransportQuery  Transport = 2 // in the query of a 3xx answer's Location
)

// Renewal is a new token for the viewer's next request (RFC 9246 section 3).
type Renewal struct {
	// Token is the new token. Secret: do not log it.
	Token string
	// Expires is the new token's exp.
	Expires time.Time
	// Transport is TransportCookie or TransportQuery.
	Transport Transport
	// Name of the cookie or the query parameter.
	Name string
	// Path, Domain, MaxAge, SameSite and Secure are the cookie's attributes.
	// Path follows cdnistd; an empty Domain or SameSite is left out. The cookie
	// is always HttpOnly.
	Path, Domain, SameSite string
	MaxAge                 time.Duration
	Secure                 bool
}

// SetCookie gives the value of the Set-Cookie field (RFC 6265 section 4.1), for
// TransportCookie; it is empty for TransportQuery. An answer that carries it is
// for one viewer: it must not be cached or shared with it.
func (r *Renewal) SetCookie() string {
	if r.Transport != TransportCookie {
		return ""
	}
	var sb strings.Builder
	sb.WriteString(r.Name + "=" + r.Token + "; Path=" + r.Path)
	if r.Domain != "" {
		sb.WriteString("; Domain=" + r.Domain)
	}
	sb.WriteString("; Max-Age=" + strconv.FormatInt(int64(r.MaxAge/time.Second), 10) + "; HttpOnly")
	if r.Secure {
		sb.WriteString("; Secure")
	}
	if r.SameSite != "" {
		sb.WriteString("; SameSite=" + r.SameSite)
	}
	return sb.String()
}

// RedirectURI gives a redirect's target with the token in its query, for
// TransportQuery (RFC 9246 section 3.3.1). target is an absolute URI that may
// have a query but no token; for TransportCookie it is given back as it is.
func (r *Renewal) RedirectURI(target string) string {
	if r.Transport != TransportQuery {
		return target
	}
	return AddToQuery(target, r.Name, r.Token)
}

// renewalTerms are the claims cdnistt, cdniets and cdnistd, and the last renewal
// made, since all within one second are the same.
type renewalTerms struct {
	transport Transport
	seconds   float64
	depth     int64
	last      *lastRenewal
}

type lastRenewal struct {
	mu      sync.Mutex
	expires int64
	token   string
}

// maxRenewal bounds cdniets, in seconds (10 years), so that times stay in range.
const maxRenewal = 10 * 366 * 24 * 3600

// readRenewalTerms reads the claims of sections 2.1.12 to 2.1.14.
func readRenewalTerms(c claimSet) (renewalTerms, error) {
	terms := renewalTerms{last: &lastRenewal{}}
	transport, hasTransport, err := c.integer("cdnistt")
	if err != nil {
		return terms, refuse(ReasonRenewal, "cdnistt is not an integer")
	}
	seconds, hasSeconds, err := c.number("cdniets")
	if err != nil || seconds < 0 || seconds > maxRenewal {
		return terms, refuse(ReasonRenewal, "cdniets is not a number of seconds")
	}
	depth, _, err := c.integer("cdnistd")
	if err != nil || depth < 0 {
		return terms, refuse(ReasonRenewal, "cdnistd is not a number of path segments")
	}
	if hasTransport != hasSeconds {
		return terms, refuse(ReasonRenewal, "only one of cdnistt and cdniets is there")
	}
	if transport < 0 || transport > 2 {
		return terms, refuse(ReasonRenewal, "cdnistt is none of 0, 1 and 2")
	}
	terms.transport, terms.seconds, terms.depth = Transport(transport), seconds, depth
	return terms, nil
}

// renew makes the next token of a series, or nil where none is asked for or can
// be made. The new exp is the time of verification plus cdniets; all other
// claims are carried over, but for iat and, where the signer has a name of its
// own, iss.
func (t *uriToken) renew(config *URISigningConfig, now time.Time, uri normalURI) (*Renewal, error) {
	terms := t.renewal
	if terms.transport == TransportNone || config.Signer == nil {
		return nil, nil
	}
	path, ok := leadingSegments(uri.path, terms.depth)
	if !ok {
		return nil, nil // section 2.1.14: none must be generated
	}
	expires := int64(math.Floor(float64(now.Unix()) + terms.seconds))
	if expires <= now.Unix() {
		return nil, nil // it would be dead on arrival
	}
	token, err := terms.last.renewedUntil(expires, func() (string, error) {
		claims := make(claimSet, len(t.verified.claims)+1)
		for name, value := range t.verified.claims {
			claims[name] = value
		}
		claims["exp"] = json.RawMessage(strconv.FormatInt(expires, 10))
		if claims.has("iat") {
			claims["iat"] = json.RawMessage(strconv.FormatInt(now.Unix(), 10))
		}
		return config.Signer.signRenewal(claims)
	})
	if err != nil {
		return nil, fmt.Errorf("renew viewer token: %w", err)
	}
	r := &Renewal{Token: token, Expires: time.Unix(expires, 0).UTC(), Transport: terms.transport, Name: config.Attribute}
	if terms.transport == TransportCookie {
		r.Name, r.Path, r.Domain = config.Cookie, path, config.CookieDomain
		r.MaxAge = time.Duration(expires-now.Unix()) * time.Second
		r.Secure = strings.HasPrefix(uri.text, "https:")
		r.SameSite = config.CookieSameSite
		if r.SameSite == "" {
			r.SameSite = "Lax"
			if r.Secure {
				r.SameSite = "None"
			}
		}
	}
	return r, nil
}

// renewedUntil gives the token that expires then, making it if need be.
func (l *lastRenewal) renewedUntil(expires int64, sign func() (string, error)) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.token != "" && l.expires == expires {
		return l.token, nil
	}
	token, err := sign()
	if err == nil {
		l.token, l.expires = token, expires
	}
	return token, err
}

// leadingSegments gives the first depth segments of a path as a cookie's Path;
// all of the site for depth 0. It reports false for a path with fewer. A cookie
// attribute cannot hold a semicolon: from a segment with one on, the wider path
// is given.
func leadingSegments(path string, depth int64) (string, bool) {
	if depth == 0 {
		return "/", true
	}
	segments := strings.Split(strings.TrimSuffix(path[1:], "/"), "/")
	if path == "/" || int64(len(segments)) < depth {
		return "", false
	}
	prefix := "/" + strings.Join(segments[:depth], "/")
	if i := strings.IndexByte(prefix, ';'); i >= 0 {
		prefix = prefix[:max(strings.LastIndexByte(prefix[:i], '/'), 1)]
	}
	return prefix, true
}
