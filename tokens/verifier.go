package tokens

import (
	"crypto/ed25519"
	"fmt"
)

// Verifier checks passes and segment tokens. It holds public keys only, never
// changes after it is made and is safe for concurrent use.
type Verifier struct {
	keys    map[string]ed25519.PublicKey            // by key id
	headers map[string]map[string]ed25519.PublicKey // by typ and encoded header
}

// NewVerifier reads the edge's public JWKS, as Keyring.Public gives it. Keys of
// another type or curve are passed over (RFC 7517 section 5). A set without a
// usable key, with a key id twice, or with a private part is refused; the error
// wraps ErrBadKeys.
func NewVerifier(publicJWKS []byte) (*Verifier, error) {
	set, err := decodeJWKS(publicJWKS)
	if err != nil {
		return nil, err
	}
	keys := make(map[string]ed25519.PublicKey, len(set.Keys))
	for i, jwk := range set.Keys {
		if jwk.D != "" {
			return nil, fmt.Errorf("key %d: %w: it has a private part: publish the public key set only", i, ErrBadKeys)
		}
		if !jwk.isEd25519() {
			continue
		}
		public, err := jwk.public()
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		id := jwk.KeyID
		if id == "" {
			id = keyID(public)
		}
		if err := checkKeyID(id); err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		if _, twice := keys[id]; twice {
			return nil, fmt.Errorf("key %d: %w: key id %q occurs twice", i, ErrBadKeys, id)
		}
		keys[id] = public
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("%w: no Ed25519 key in it", ErrBadKeys)
	}
	return newVerifier(keys), nil
}

func newVerifier(keys map[string]ed25519.PublicKey) *Verifier {
	v := &Verifier{keys: keys, headers: map[string]map[string]ed25519.PublicKey{typePass: {}, typeSegment: {}}}
	for typ, byHeader := range v.headers {
		for id, key := range keys {
			byHeader[encodeHeader(id, typ)] = key
		}
	}
	return v
}
