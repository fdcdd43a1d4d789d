package tokens

import (
	"crypto/ed25519"
	"fmt"
	"strings"
	"time"
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

// VerifyPass checks a pass at a time and returns its content. Errors wrap
// ErrMalformed, ErrAlgorithm, ErrWrongType, ErrCritical, ErrUnknownKey,
// ErrSignature or ErrExpired. There is no leeway: a viewer whose clock may be
// wrong passes the edge's time, not its own. The caller still has to compare
// Peer and Swarm with the peer it talks to, and the path asked for with Covers.
func (v *Verifier) VerifyPass(token string, now time.Time) (Pass, error) {
	payload, err := v.verifyCompact(token, typePass)
	if err != nil {
		return Pass{}, fmt.Errorf("verify pass: %w", err)
	}
	p, err := readPass(payload, now)
	if err != nil {
		return Pass{}, fmt.Errorf("verify pass: %w", err)
	}
	return p, nil
}

// VerifySegment checks a segment token at a time and returns its content. Errors
// wrap ErrMalformed, ErrAlgorithm, ErrWrongType, ErrCritical, ErrUnknownKey,
// ErrSignature or ErrExpired. There is no leeway. The caller still has to
// compare Path, Offset and Size with what it asked for.
func (v *Verifier) VerifySegment(token string, now time.Time) (Segment, error) {
	payload, err := v.verifyCompact(token, typeSegment)
	if err != nil {
		return Segment{}, fmt.Errorf("verify segment: %w", err)
	}
	s, err := readSegment(payload, now)
	if err != nil {
		return Segment{}, fmt.Errorf("verify segment: %w", err)
	}
	return s, nil
}

// verifyCompact checks a token's form, header and signature in that order and
// returns its payload. The payload is not interpreted before the signature holds.
func (v *Verifier) verifyCompact(token, typ string) ([]byte, error) {
	if len(token) > MaxTokenSize {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrMalformed, len(token), MaxTokenSize)
	}
	header, rest, ok1 := strings.Cut(token, ".")
	payload, signature, ok2 := strings.Cut(rest, ".")
	if !ok1 || !ok2 || header == "" || payload == "" || strings.Contains(signature, ".") {
		return nil, fmt.Errorf("%w: want three parts", ErrMalformed)
	}
	key, ok := v.headers[typ][header]
	if !ok {
		var err error
		if key, err = v.keyFor(header, typ); err != nil {
			return nil, err
		}
	}
	sig, err := decodeB64(signature)
	if err != nil {
		return nil, err
	}
	if len(sig) != ed25519.SignatureSize {
		return nil, fmt.Errorf("%w: signature of %d bytes", ErrSignature, len(sig))
	}
	body, err := decodeB64(payload)
	if err != nil {
		return nil, err
	}
	if !ed25519.Verify(key, []byte(token[:len(header)+1+len(payload)]), sig) {
		return nil, ErrSignature
	}
	return body, nil
}

// keyFor finds the key for a header that is not spelled the way this package
// spells it, or says why there is none.
func (v *Verifier) keyFor(encoded, typ string) (ed25519.PublicKey, error) {
	h, err := decodeHeader(encoded)
	if err != nil {
		return nil, err
	}
	switch {
	case h.Critical != nil:
		return nil, ErrCritical
	case h.Algorithm != "EdDSA":
		return nil, ErrAlgorithm
	case h.Type != typ:
		return nil, fmt.Errorf("%w: want typ %q", ErrWrongType, typ)
	}
	key, ok := v.keys[h.KeyID]
	if !ok {
		return nil, ErrUnknownKey
	}
	return key, nil
}
