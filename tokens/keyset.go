package tokens

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/json"
)

// The signature algorithms a viewer token may use (RFC 7518 section 3.1, RFC
// 8037). A viewer is told which of them to accept; the token never chooses.
const (
	HS256 = "HS256" // a shared secret of at least 32 bytes
	ES256 = "ES256" // ECDSA on P-256
	RS256 = "RS256" // RSA of at least 2048 bits
	EdDSA = "EdDSA" // Ed25519
)

const (
	minSecretSize = 32   // bytes; RFC 7518 section 3.2
	minRSABits    = 2048 // RFC 7518 section 3.3
)

// KeySource gives the keys that verify viewer tokens. *KeySet is one that never
// changes, *RemoteKeys one that follows a URL.
type KeySource interface {
	// Keys gives the current key set. kid is the key id a token asks for, empty
	// where it has none: a source that can fetch may do so when it lacks the
	// id. While the keys are the same it gives the same pointer, because what
	// was verified with a set is trusted as long as that set is current. The
	// error wraps ErrKeysUnavailable.
	Keys(ctx context.Context, kid string) (*KeySet, error)
}

// ErrKeysUnavailable: no usable key set can be had just now.
var ErrKeysUnavailable = errors.New("viewer token keys are not available")

// KeySet holds the operator's keys for viewer tokens: public keys and shared
// secrets that verify, and, where the set has them, private keys that sign
// renewals and keys that decrypt claims. It never changes after it is made.
type KeySet struct {
	keys []viewerKey
}

type viewerKey struct {
	id        string // empty matches every key id
	algorithm string // of the signatures it verifies, empty for none
	verify    any    // ed25519.PublicKey, *ecdsa.PublicKey, *rsa.PublicKey or []byte
	sign      any    // the private half or the secret, nil where unknown
	decrypt   any    // key of a JWE, nil where it is not for that
	jweAlg    string // its "alg" where it decrypts, empty for any
}

// fingerprint names the key that verifies. It is secret where the key is.
func (k viewerKey) fingerprint() [32]byte {
	if secret, ok := k.verify.([]byte); ok {
		return sha256.Sum256(append([]byte(k.algorithm+" "), secret...))
	}
	der, err := x509.MarshalPKIXPublicKey(k.verify)
	if err != nil {
		return [32]byte{} // cannot be: add takes no other kinds
	}
	return sha256.Sum256(der)
}

// ParseKeySet reads keys as PEM (PKIX public keys, certificates, PKCS #1, SEC 1
// or PKCS #8 private keys, any number of blocks), as one JWK or as a JWKS (RFC
// 7517). What a key may do follows from its "use", "key_ops" and "alg": "sig" or
// none verifies (and signs, where the private part is there), "enc" decrypts, and no
// other does anything. Keys in
// a JWKS of a kind that is not used here are passed over. A key without id
// matches every id. At most 64 KiB and 64 keys; the error wraps ErrBadKeys.
func ParseKeySet(raw []byte) (*KeySet, error) {
	if len(raw) > maxKeySetSize {
		return nil, fmt.Errorf("%w: %d bytes, the limit is %d", ErrBadKeys, len(raw), maxKeySetSize)
	}
	var set KeySet
	var err error
	if block, _ := pem.Decode(raw); block != nil {
		err = set.addPEM(raw)
	} else {
		err = set.addJSON(raw)
	}
	if err != nil {
		return nil, err
	}
	if len(set.keys) == 0 {
		return nil, fmt.Errorf("%w: no key of a kind that is supported (Ed25519, P-256, RSA, oct)", ErrBadKeys)
	}
	if len(set.keys) > maxKeySetKeys {
		return nil, fmt.Errorf("%w: more than %d keys", ErrBadKeys, maxKeySetKeys)
	}
	return &set, nil
}

// SecretKeySet makes a set of one shared secret for HS256, of at least 32 bytes
// (RFC 7518 section 3.2). kid may be empty.
func SecretKeySet(secret []byte, kid string) (*KeySet, error) {
	if len(secret) < minSecretSize {
		return nil, fmt.Errorf("%w: the secret has %d bytes, HS256 wants at least %d", ErrBadKeys, len(secret), minSecretSize)
	}
	secret = slices.Clone(secret)
	return &KeySet{keys: []viewerKey{{id: kid, algorithm: HS256, verify: secret, sign: secret}}}, nil
}

// Keys implements KeySource: the set is its own source.
func (s *KeySet) Keys(context.Context, string) (*KeySet, error) { return s, nil }

// has reports whether a key for an id is in the set.
func (s *KeySet) has(kid string) bool {
	return slices.ContainsFunc(s.keys, func(k viewerKey) bool { return k.verify != nil && (k.id == kid || k.id == "") })
}

func (s *KeySet) addPEM(raw []byte) error {
	for {
		var block *pem.Block
		if block, raw = pem.Decode(raw); block == nil {
			return nil
		}
		var key any
		var err error
		switch block.Type {
		case "PUBLIC KEY":
			key, err = x509.ParsePKIXPublicKey(block.Bytes)
		case "RSA PUBLIC KEY":
			key, err = x509.ParsePKCS1PublicKey(block.Bytes)
		case "CERTIFICATE":
			var cert *x509.Certificate
			if cert, err = x509.ParseCertificate(block.Bytes); err == nil {
				key = cert.PublicKey
			}
		case "PRIVATE KEY":
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		case "EC PARAMETERS": // openssl writes it before the key
			continue
		default:
			return fmt.Errorf("%w: PEM block %q is not a key or certificate", ErrBadKeys, block.Type)
		}
		if err != nil {
			return fmt.Errorf("%w: PEM block %q cannot be read", ErrBadKeys, block.Type)
		}
		if err := s.add(jose.JSONWebKey{Key: key}, use{}); err != nil {
			return err
		}
	}
}

func (s *KeySet) addJSON(raw []byte) error {
	var set struct {
		Keys    []json.RawMessage `json:"keys"`
		KeyType string            `json:"kty"`
	}
	if err := decodeObject(raw, &set); err != nil {
		return fmt.Errorf("%w: neither PEM nor a JWK or JWKS", ErrBadKeys)
	}
	if set.KeyType != "" {
		set.Keys = []json.RawMessage{raw}
	}
	if len(set.Keys) > maxKeySetKeys {
		return fmt.Errorf("%w: more than %d keys", ErrBadKeys, maxKeySetKeys)
	}
	for i, one := range set.Keys {
		var kind struct {
			KeyType string `json:"kty"`
			Curve   string `json:"crv"`
			use
		}
		if err := decodeObject(one, &kind); err != nil {
			return fmt.Errorf("%w: key %d is not a JWK", ErrBadKeys, i)
		}
		switch kind.KeyType + " " + kind.Curve {
		case "EC P-256", "OKP Ed25519", "RSA ", "oct ":
		default:
			continue // RFC 7517 section 5
		}
		var jwk jose.JSONWebKey
		if err := jwk.UnmarshalJSON(one); err != nil {
			return fmt.Errorf("%w: key %d (kty %q) cannot be read", ErrBadKeys, i, kind.KeyType)
		}
		if err := s.add(jwk, kind.use); err != nil {
			return fmt.Errorf("key %d: %w", i, err)
		}
	}
	return nil
}

// use is what a JWK says that it is for (RFC 7517, sections 4.2 and 4.3).
type use struct {
	Use        string   `json:"use"`
	Operations []string `json:"key_ops"`
}

// allows reports whether the key may be used for an operation of a use.
func (u use) allows(use string, operations ...string) bool {
	return (u.Use == use || u.Use == "") && (u.Operations == nil || slices.ContainsFunc(operations, func(op string) bool {
		return slices.Contains(u.Operations, op)
	}))
}

// add takes a key in, or passes over one of a kind that is not used here.
func (s *KeySet) add(jwk jose.JSONWebKey, u use) error {
	key := viewerKey{id: jwk.KeyID}
	if u.Use == "enc" {
		if u.allows("enc", "decrypt", "unwrapKey", "deriveKey", "deriveBits") {
			key.decrypt, key.jweAlg = jwk.Key, jwk.Algorithm
			s.keys = append(s.keys, key)
		}
		return nil
	}
	switch k := jwk.Key.(type) {
	case []byte:
		if len(k) < minSecretSize && (jwk.Algorithm == "" || jwk.Algorithm == HS256) {
			return fmt.Errorf("%w: the secret has %d bytes, HS256 wants at least %d", ErrBadKeys, len(k), minSecretSize)
		}
		key.algorithm, key.verify, key.sign = HS256, k, k
	case ed25519.PublicKey:
		key.algorithm, key.verify = EdDSA, k
	case ed25519.PrivateKey:
		key.algorithm, key.verify, key.sign = EdDSA, k.Public(), k
	case *ecdsa.PublicKey:
		key.algorithm, key.verify = ES256, k
	case *ecdsa.PrivateKey:
		key.algorithm, key.verify, key.sign = ES256, k.Public(), k
	case *rsa.PublicKey:
		key.algorithm, key.verify = RS256, k
	case *rsa.PrivateKey:
		key.algorithm, key.verify, key.sign = RS256, k.Public(), k
	default:
		return nil
	}
	switch k := key.verify.(type) {
	case *ecdsa.PublicKey:
		if k.Curve != elliptic.P256() {
			return nil
		}
	case *rsa.PublicKey:
		if k.N.BitLen() < minRSABits {
			return fmt.Errorf("%w: an RSA key of %d bits, want at least %d", ErrBadKeys, k.N.BitLen(), minRSABits)
		}
	}
	named := jwk.Algorithm
	if named == "Ed25519" { // the name RFC 9864 gives to what RFC 8037 calls EdDSA
		named = EdDSA
	}
	if named != "" && named != key.algorithm {
		return nil // the key says that it is for something else
	}
	if !u.allows("sig", "verify") {
		key.verify = nil
	}
	if !u.allows("sig", "sign") {
		key.sign = nil
	}
	if key.verify == nil && key.sign == nil {
		return nil
	}
	s.keys = append(s.keys, key)
	return nil
}
