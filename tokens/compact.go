package tokens

import (
	"context"
	stdjson "encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

const (
	// MaxViewerTokenSize bounds a viewer token that is read, in bytes.
	MaxViewerTokenSize = 6 << 10

	maxCandidateKeys = 8 // keys tried for one token
)

// Trust says whose signatures a viewer accepts. Where there are several, name the
// issuers of each: only those that fit a token are asked for its key.
type Trust struct {
	// Keys that verify. Required.
	Keys KeySource
	// Issuers these keys may sign for: a token's iss must be one of them. Empty
	// means any issuer, or none named (RFC 9246 section 4.4, "issuers").
	Issuers []string
}

// checker verifies the signature of viewer tokens. It is the part that URI
// Signing and plain JWT have in common.
type checker struct {
	trust      []Trust
	algorithms []jose.SignatureAlgorithm
}

func newChecker(trust []Trust, algorithms []string) (*checker, error) {
	if len(trust) == 0 {
		return nil, errors.New("viewer tokens need at least one key source to trust")
	}
	for _, t := range trust {
		if t.Keys == nil {
			return nil, errors.New("viewer tokens: a trust entry has no key source")
		}
	}
	if len(algorithms) == 0 {
		return nil, errors.New("viewer tokens: list the algorithms to accept: HS256, ES256, RS256, EdDSA")
	}
	c := &checker{trust: slices.Clone(trust)}
	for _, alg := range algorithms {
		switch alg {
		case HS256, ES256, RS256, EdDSA:
			c.algorithms = append(c.algorithms, jose.SignatureAlgorithm(alg))
		default:
			return nil, fmt.Errorf("viewer tokens: algorithm %q is not one of HS256, ES256, RS256, EdDSA", alg)
		}
	}
	return c, nil
}

// verified is a token whose signature holds.
type verified struct {
	claims claimSet
	kid    string
	typ    string
	issuer string
	key    [32]byte  // fingerprint of the key
	source KeySource // that gave the key, and
	set    *KeySet   // the set it was in
}

// current reports whether the keys that verified a token are still trusted.
func (v *verified) current(ctx context.Context) bool {
	set, err := v.source.Keys(ctx, v.kid)
	return err == nil && set == v.set
}

// trusts reports whether a key, by its fingerprint, verifies tokens now. known is false if
// the keys of a source are unavailable, and the key may be among them.
func (c *checker) trusts(ctx context.Context, key [32]byte) (trusted, known bool) {
	known = true
	for _, t := range c.trust {
		set, err := t.Keys.Keys(ctx, "")
		if err != nil {
			known = false
			continue
		}
		if slices.ContainsFunc(set.keys, func(k viewerKey) bool { return k.verify != nil && k.fingerprint() == key }) {
			return true, true
		}
	}
	return false, known
}

// verify checks form, header, issuer and signature, in that order.
func (c *checker) verify(ctx context.Context, token string) (*verified, error) {
	header, claims, err := c.parse(token)
	if err != nil {
		return nil, err
	}
	issuer, hasIssuer, err := claims.text("iss")
	if err != nil {
		return nil, err
	}
	jws, err := jose.ParseSignedCompact(token, c.algorithms)
	if err != nil {
		return nil, refuse(ReasonMalformed, "the token is not a compact JWS")
	}
	outcome := refuse(ReasonIssuer, "the issuer is not one that is trusted")
	for _, t := range c.trust {
		if len(t.Issuers) > 0 && (!hasIssuer || !slices.Contains(t.Issuers, issuer)) {
			continue
		}
		set, err := t.Keys.Keys(ctx, header.KeyID)
		if err != nil {
			outcome = refuse(ReasonKeysUnavailable, "issuer keys are unavailable")
			continue
		}
		tried := 0
		for _, key := range set.keys {
			if key.verify == nil || key.algorithm != header.Algorithm || header.KeyID != "" && key.id != "" && key.id != header.KeyID {
				continue
			}
			if tried++; tried > maxCandidateKeys {
				break
			}
			if _, err := jws.Verify(key.verify); err == nil {
				return &verified{claims: claims, kid: header.KeyID, key: key.fingerprint(), typ: header.Type, issuer: issuer, source: t.Keys, set: set}, nil
			}
		}
		if tried > 0 {
			outcome = refuse(ReasonSignature, "the signature does not verify")
		} else if outcome.Reason == ReasonIssuer {
			outcome = refuse(ReasonUnknownKey, "no key with the token's key id and algorithm")
		}
	}
	return nil, outcome
}

// parse reads a token's header and claims without believing them.
func (c *checker) parse(token string) (jwsHeader, claimSet, error) {
	if len(token) > MaxViewerTokenSize {
		return jwsHeader{}, nil, refuse(ReasonMalformed, "the token is longer than 6 KiB")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return jwsHeader{}, nil, refuse(ReasonMalformed, "the token does not have three parts")
	}
	header, err := decodeHeader(parts[0])
	if err != nil {
		return jwsHeader{}, nil, refuse(ReasonMalformed, "the token's header cannot be read")
	}
	if header.Critical != nil {
		return jwsHeader{}, nil, refuse(ReasonCritical, "the token's header demands an extension")
	}
	if !slices.Contains(c.algorithms, jose.SignatureAlgorithm(header.Algorithm)) {
		return jwsHeader{}, nil, refuse(ReasonAlgorithm, "the token's algorithm is not on the list")
	}
	if strings.HasPrefix(header.Type, "mesh-") {
		return jwsHeader{}, nil, refuse(ReasonMalformed, "a pass or segment token is not a viewer token")
	}
	if _, err := decodeB64(parts[2]); err != nil {
		return jwsHeader{}, nil, refuse(ReasonMalformed, "the token's signature is not canonical base64url")
	}
	payload, err := decodeB64(parts[1])
	if err != nil {
		return jwsHeader{}, nil, refuse(ReasonMalformed, "the token's claims are not canonical base64url")
	}
	var claims claimSet
	if err := decodeObject(payload, &claims); err != nil {
		return jwsHeader{}, nil, refuse(ReasonMalformed, "the token's claims are not a JSON object")
	}
	return header, claims, nil
}

// claimSet is a JWT claims set (RFC 7519 section 4). The getters refuse a claim
// of the wrong type; ok reports whether it is there at all. The raw type is the
// standard library's, because go-jose's does not encode back inside a map.
type claimSet map[string]stdjson.RawMessage

func (c claimSet) has(name string) bool { _, ok := c[name]; return ok }

func (c claimSet) text(name string) (value string, ok bool, err error) {
	raw, ok := c[name]
	if !ok {
		return "", false, nil
	}
	if raw[0] != '"' || json.Unmarshal(raw, &value) != nil {
		return "", true, refuse(ReasonMalformed, "a claim that must be a string is not")
	}
	return value, true, nil
}

// texts reads a string or an array of strings, as aud is written.
func (c claimSet) texts(name string) (values []string, ok bool, err error) {
	raw, ok := c[name]
	if !ok {
		return nil, false, nil
	}
	if raw[0] == '"' {
		value, _, err := c.text(name)
		return []string{value}, true, err
	}
	var items []stdjson.RawMessage
	if raw[0] != '[' || json.Unmarshal(raw, &items) != nil {
		return nil, true, refuse(ReasonMalformed, "a claim that must be a string or an array of strings is not")
	}
	for _, item := range items {
		value, _, err := claimSet{name: item}.text(name)
		if err != nil {
			return nil, true, err
		}
		values = append(values, value)
	}
	return values, true, nil
}

// number reads a JSON number that is within 2^53 of zero.
func (c claimSet) number(name string) (value float64, ok bool, err error) {
	raw, ok := c[name]
	if !ok {
		return 0, false, nil
	}
	value, perr := strconv.ParseFloat(string(raw), 64)
	if perr != nil || raw[0] != '-' && (raw[0] < '0' || raw[0] > '9') || math.Abs(value) > maxSafeInteger {
		return 0, true, refuse(ReasonMalformed, "a claim that must be a number is not, or is out of range")
	}
	return value, true, nil
}

func (c claimSet) integer(name string) (value int64, ok bool, err error) {
	f, ok, err := c.number(name)
	if err == nil && f != math.Trunc(f) {
		err = refuse(ReasonMalformed, "a claim that must be an integer is not")
	}
	return int64(f), ok, err
}

// date reads a NumericDate, which may have a fraction (RFC 7519 section 2).
func (c claimSet) date(name string) (time.Time, bool, error) {
	f, ok, err := c.number(name)
	if err != nil || !ok {
		return time.Time{}, ok, err
	}
	seconds := math.Floor(f)
	return time.Unix(int64(seconds), int64((f-seconds)*1e9)).UTC(), true, nil
}

// require refuses a token without one of the claims.
func (c claimSet) require(names []string) error {
	for _, name := range names {
		if c.has(name) {
			continue
		}
		reason := ReasonMalformed
		switch name {
		case "iss":
			reason = ReasonIssuer
		case "sub":
			reason = ReasonSubject
		case "aud":
			reason = ReasonAudience
		case "exp":
			reason = ReasonExpired
		case "nbf":
			reason = ReasonNotYetValid
		case "jti":
			reason = ReasonReplayed
		case "cdniip":
			reason = ReasonClientIP
		case "cdniuc":
			reason = ReasonURI
		case "cdnistt", "cdniets", "cdnistd":
			reason = ReasonRenewal
		}
		return refuse(reason, "a claim that the site requires is missing")
	}
	return nil
}

// checkAudience holds a token to the recipients it names (RFC 7519 section
// 4.1.3): with a name of ours, or with none at all where we have none.
func (c claimSet) checkAudience(ours []string) error {
	named, ok, err := c.texts("aud")
	switch {
	case err != nil:
		return err
	case !ok && len(ours) == 0:
		return nil
	case !ok:
		return refuse(ReasonAudience, "the token names no audience")
	}
	for _, name := range named {
		if slices.Contains(ours, name) {
			return nil
		}
	}
	return refuse(ReasonAudience, "the token is for another audience")
}
