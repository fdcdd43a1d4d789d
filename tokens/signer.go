package tokens

import (
	"errors"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// Signer signs viewer tokens: at a content provider that hands out signed URIs,
// and at an edge that renews them. Safe for concurrent use.
type Signer struct {
	// Issuer replaces the iss of a renewed token that has one (RFC 9246 section
	// 2.1.1). Empty leaves it, which is right where the edge signs with a key
	// of the same issuer. Set it before the first use.
	Issuer string

	jose jose.Signer
}

// NewSigner takes the first key of a set that can sign and has the key id, or
// the first of all where kid is empty. The algorithm follows from the key's
// type. The error wraps ErrBadKeys.
func NewSigner(set *KeySet, kid string) (*Signer, error) {
	for _, key := range set.keys {
		if key.sign == nil || kid != "" && key.id != kid {
			continue
		}
		signer, err := jose.NewSigner(jose.SigningKey{
			Algorithm: jose.SignatureAlgorithm(key.algorithm),
			Key:       jose.JSONWebKey{Key: key.sign, KeyID: key.id},
		}, nil)
		if err != nil {
			return nil, fmt.Errorf("make signer: %w: %w", ErrBadKeys, err)
		}
		return &Signer{jose: signer}, nil
	}
	return nil, fmt.Errorf("make signer: %w: no private key or secret with the key id", ErrBadKeys)
}

// Sign gives a compact JWS of a claims set. claims is a map or a struct that
// encodes as a JSON object, with times in Unix seconds.
func (s *Signer) Sign(claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("sign viewer token: %w", err)
	}
	jws, err := s.jose.Sign(payload)
	if err != nil {
		return "", fmt.Errorf("sign viewer token: %w", err)
	}
	token, err := jws.CompactSerialize()
	if err != nil {
		return "", fmt.Errorf("sign viewer token: %w", err)
	}
	if len(token) > MaxViewerTokenSize {
		return "", errors.New("sign viewer token: it would be longer than 6 KiB: use fewer or shorter claims")
	}
	return token, nil
}

func (s *Signer) signRenewal(claims claimSet) (string, error) {
	if s.Issuer != "" && claims.has("iss") {
		issuer, err := json.Marshal(s.Issuer)
		if err != nil {
			return "", fmt.Errorf("encode issuer: %w", err)
		}
		claims["iss"] = issuer
	}
	return s.Sign(claims)
}

// AddToQuery writes a token into a URI as a form-style parameter, "?name=token"
// or "&name=token" (RFC 6570 sections 3.2.8 and 3.2.9).
func AddToQuery(uri, name, token string) string {
	if strings.Contains(uri, "?") {
		return uri + "&" + name + "=" + token
	}
	return uri + "?" + name + "=" + token
}

// AddToPath writes a token behind a URI's path as a path-style parameter,
// ";name=token" (RFC 6570 section 3.2.7).
func AddToPath(uri, name, token string) string {
	path, query, ok := strings.Cut(uri, "?")
	path += ";" + name + "=" + token
	if ok {
		return path + "?" + query
	}
	return path
}
