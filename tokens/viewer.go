package tokens

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"
)

// Viewer checks the operator's entitlement of one request. URISigning and JWT
// are the two kinds made here; a server may add its own. Implementations are
// safe for concurrent use.
type Viewer interface {
	// Verify gives the entitlement, or a *Refusal that says why there is none.
	// Any other error is a mistake of the caller (a Request without Time).
	Verify(ctx context.Context, r Request) (Entitlement, error)
	// Parameters are the names that a token may have in the path or the query of a
	// URI, for CutURI. There are none where tokens come in a header or a cookie only.
	Parameters() []string
	// Trusts reports whether the key with a fingerprint (Entitlement.Key) verifies tokens
	// now. known is false where that cannot be told, because keys are unavailable.
	Trusts(ctx context.Context, key [32]byte) (trusted, known bool)
}

// Request is what a Viewer looks at. It holds no reader and no response.
type Request struct {
	// Method of the request, upper case. The viewers made here do not look at
	// it; it is there for those of others.
	Method string
	// URI is the absolute http or https URI as the viewer asked for it, before
	// any rewrite, percent-encoded, token and query included, without fragment.
	// At most 8 KiB.
	URI string
	// Header holds the request's fields by canonical name, as net/http's Header
	// does (which can be assigned here). Only Cookie, and the fields a JWT
	// viewer is told to look in, are needed.
	Header map[string][]string
	// Token is a viewer token that came another way, such as in the body of a
	// session request. When set, URI, header and cookies are not searched, and
	// URI names the resource that access is asked for.
	Token string
	// Session says that the request is for a session, which lasts: a one-time token is
	// refused and not used up.
	Session bool
	// ClientIP is the viewer's address after trusted proxies were taken into
	// account. A token bound to an address is refused when it is not valid.
	ClientIP netip.Addr
	// Time is the time of the request. It must be set.
	Time time.Time
}

// Entitlement is what a verified viewer token allows.
type Entitlement struct {
	// Subject is the token's sub, decrypted where it was encrypted; empty where
	// there is none or no key to decrypt it. Personal data: do not log it.
	Subject string
	// Issuer is the token's iss, empty where there is none.
	Issuer string
	// Site is the claim siteId, the site of an enterprise that the viewer is in; empty
	// where the token has none.
	Site string
	// Expires is when the token dies; the zero time where it never does.
	Expires time.Time
	// URI is the request's URI with the token removed and otherwise as it came.
	// This is what an upstream may see.
	URI string
	// Key is the fingerprint of the key that verified the token, for Viewer.Trusts. It is
	// as secret as the key.
	Key [32]byte
	// Field is the canonical name of the header field that held the token; empty where
	// it came in another way, a cookie included.
	Field string
	// Grant says what else the token allows.
	Grant Grant
	// Renewal is a new token to hand to the viewer, nil where there is none.
	Renewal *Renewal
	// RenewalErr says why a renewal that the token asks for could not be made.
	// It is for the log: the request is admitted all the same.
	RenewalErr error
}

// Grant is the set of resources a token allows.
type Grant interface {
	// Allows reports whether an absolute URI, without token, is allowed.
	Allows(uri string) bool
	// Scope returns path prefixes, in the sense of CoversPath, below which every
	// path of the site of the verified URI is allowed, with every query. It never
	// holds more than is allowed, and may hold less: of a set of URIs that prefixes
	// cannot say, it is empty.
	Scope() []string
}

// Reason is a short, stable code for why a token was refused: for a log field
// and a metric label. There is a fixed number of them.
type Reason string

// The reasons there are.
const (
	ReasonMissing         Reason = "missing"          // no token in any place searched
	ReasonMalformed       Reason = "malformed"        // not a JWS of the known shape, or a claim of the wrong type
	ReasonMalformedURI    Reason = "malformed_uri"    // URI not usable, ambiguous, or with two tokens in it
	ReasonAlgorithm       Reason = "algorithm"        // algorithm not on the list
	ReasonUnknownKey      Reason = "unknown_key"      // no key with this id for this algorithm
	ReasonSignature       Reason = "signature"        // signature does not verify
	ReasonKeysUnavailable Reason = "keys_unavailable" // the key set could not be fetched
	ReasonIssuer          Reason = "issuer"           // iss missing, unknown, or not the key's
	ReasonSubject         Reason = "subject"          // sub missing, not encrypted, or not decryptable
	ReasonAudience        Reason = "audience"         // aud missing or of another
	ReasonExpired         Reason = "expired"          // exp is now or earlier
	ReasonNotYetValid     Reason = "not_yet_valid"    // nbf is later
	ReasonRenewal         Reason = "renewal"          // cdniets, cdnistt or cdnistd wrong or alone
	ReasonReplayed        Reason = "replayed"         // jti missing, or seen before for this content
	ReasonReplayStore     Reason = "replay_store"     // no store for jti, or it is full
	ReasonVersion         Reason = "version"          // cdniv is not 1
	ReasonCritical        Reason = "critical"         // crit or cdnicrit names what is not understood
	ReasonClientIP        Reason = "client_ip"        // cdniip unreadable or of another address
	ReasonURI             Reason = "uri"              // the token does not allow this URI
	ReasonScope           Reason = "scope"            // what the token allows cannot be said by path prefixes: no session
	ReasonEverything      Reason = "everything"       // the token allows every path of the site
)

// URISigningCode gives the value of the CDNI logging field s-uri-signing (RFC
// 9246 sections 4.5 and 6.4): "000" nothing was verified, "400" to "411" refused.
// The value of a verified request is "200".
func (r Reason) URISigningCode() string {
	switch r {
	case ReasonAlgorithm, ReasonUnknownKey, ReasonSignature:
		return "400"
	case ReasonIssuer:
		return "401"
	case ReasonSubject:
		return "402"
	case ReasonAudience:
		return "403"
	case ReasonExpired:
		return "404"
	case ReasonNotYetValid:
		return "405"
	case ReasonRenewal:
		return "406"
	case ReasonReplayed, ReasonReplayStore:
		return "407"
	case ReasonVersion:
		return "408"
	case ReasonCritical:
		return "409"
	case ReasonClientIP:
		return "410"
	case ReasonURI, ReasonEverything:
		return "411"
	case ReasonMalformed, ReasonMalformedURI:
		return "500"
	}
	return "000"
}

// Refusal is the error of a Viewer that does not admit a request. Neither its
// message nor its fields hold the token or any claim's value.
type Refusal struct {
	Reason Reason
	// Status is the HTTP status to answer with: 401, 403, or 503 where the
	// server could not find out.
	Status int
	// Detail is a short sentence for the log, constant but for sizes.
	Detail string
	// URI is the request's URI without any token and otherwise as it came, for a
	// server that lets the request through all the same; empty where none can be
	// told.
	URI string
}

func (r *Refusal) Error() string {
	return fmt.Sprintf("viewer token refused: %s: %s", r.Reason, r.Detail)
}

// ReasonOf gives the reason of an error from Viewer.Verify, empty where it is
// not a *Refusal.
func ReasonOf(err error) Reason {
	var r *Refusal
	if errors.As(err, &r) {
		return r.Reason
	}
	return ""
}

// withURI gives a refusal the URI without tokens.
func withURI(err error, clean string) error {
	var r *Refusal
	if errors.As(err, &r) {
		r.URI = clean
	}
	return err
}

// refuse makes a refusal with status 403; the JWT viewer changes it for the
// reasons that another token would mend.
func refuse(reason Reason, detail string) *Refusal {
	status := 403
	if reason == ReasonKeysUnavailable {
		status = 503
	}
	return &Refusal{Reason: reason, Status: status, Detail: detail}
}

var errNoTime = errors.New("verify viewer token: set the request's time")
