package tokens

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

const (
	maxKeySetSize = 64 << 10 // bytes of a JWKS that is read
	maxKeySetKeys = 64       // keys in it
	maxKeyIDSize  = 64       // bytes of a key id
)

// Keyring holds Ed25519 keys with their key ids, newest first. The newest signs,
// all verify. A Keyring never changes after it is made and is safe for
// concurrent use; Rotate gives a new one.
type Keyring struct {
	keys     []ringKey // newest first, at least one
	verifier *Verifier
	headers  map[string]string // encoded header by typ, for the newest key
}

type ringKey struct {
	id      string
	created time.Time
	private ed25519.PrivateKey
}

// meshJWK is an Ed25519 key as RFC 8037 writes it. "iat" is when it was made.
type meshJWK struct {
	KeyType   string `json:"kty"`
	Curve     string `json:"crv,omitempty"`
	KeyID     string `json:"kid,omitempty"`
	Use       string `json:"use,omitempty"`
	Algorithm string `json:"alg,omitempty"`
	X         string `json:"x,omitempty"`
	D         string `json:"d,omitempty"`
	IssuedAt  int64  `json:"iat,omitempty"`
}

type meshJWKS struct {
	Keys []meshJWK `json:"keys"`
}

// NewKeyring makes a keyring with one fresh key. now is recorded as the key's
// birth, to the second.
func NewKeyring(now time.Time) (*Keyring, error) {
	k, err := newRingKey(now)
	if err != nil {
		return nil, err
	}
	return assemble([]ringKey{k})
}

// ParseKeyring reads what MarshalPrivate wrote: a JWKS of Ed25519 keys with
// their private parts. Keys are ordered by "iat", newest first; keys of the same
// age keep their order. A key without "kid" gets its thumbprint id. The error
// wraps ErrBadKeys.
func ParseKeyring(privateJWKS []byte) (*Keyring, error) {
	set, err := decodeJWKS(privateJWKS)
	if err != nil {
		return nil, err
	}
	keys := make([]ringKey, 0, len(set.Keys))
	for i, jwk := range set.Keys {
		public, err := jwk.public()
		if err != nil {
			return nil, fmt.Errorf("key %d: %w", i, err)
		}
		seed, err := decodeB64(jwk.D)
		if err != nil || len(seed) != ed25519.SeedSize {
			return nil, fmt.Errorf("key %d: %w: \"d\" must be %d bytes in base64url: give the private key set, not the public one", i, ErrBadKeys, ed25519.SeedSize)
		}
		private := ed25519.NewKeyFromSeed(seed)
		if !public.Equal(private.Public()) {
			return nil, fmt.Errorf("key %d: %w: \"x\" is not the public key of \"d\"", i, ErrBadKeys)
		}
		id := jwk.KeyID
		if id == "" {
			id = keyID(public)
		}
		keys = append(keys, ringKey{id: id, created: time.Unix(jwk.IssuedAt, 0).UTC(), private: private})
	}
	slices.SortStableFunc(keys, func(a, b ringKey) int { return b.created.Compare(a.created) })
	return assemble(keys)
}

// MarshalPrivate gives the keyring as a JWKS with private parts, for storage.
// Whoever reads it can admit peers and vouch for bytes: keep it as secret as a
// TLS key.
func (k *Keyring) MarshalPrivate() ([]byte, error) { return k.marshal(true) }

// Public gives the JWKS of the public keys, newest first, for viewers.
func (k *Keyring) Public() ([]byte, error) { return k.marshal(false) }

// Rotate gives a new keyring with a fresh signing key and the newest keep-1 of
// the old keys, so that tokens they signed stay good. keep is at least 1 and at
// most 64; keep 1 drops all old keys at once.
func (k *Keyring) Rotate(now time.Time, keep int) (*Keyring, error) {
	if keep < 1 || keep > maxKeySetKeys {
		return nil, fmt.Errorf("keep must be 1 to %d, not %d", maxKeySetKeys, keep)
	}
	fresh, err := newRingKey(now)
	if err != nil {
		return nil, err
	}
	// The fresh key must sort first when the set is read back, even if the
	// clock went backwards since the last rotation.
	if newest := k.keys[0].created; !fresh.created.After(newest) {
		fresh.created = newest.Add(time.Second)
	}
	old := k.keys[:min(keep-1, len(k.keys))]
	return assemble(append([]ringKey{fresh}, old...))
}

// Verifier gives the verifier for this keyring's public keys.
func (k *Keyring) Verifier() *Verifier { return k.verifier }

// KeyID is the id of the key that signs.
func (k *Keyring) KeyID() string { return k.keys[0].id }

// Created is when the signing key was made, to the second (the Unix epoch where
// the stored key set did not say). A caller rotates by it.
func (k *Keyring) Created() time.Time { return k.keys[0].created }

// SignPass signs a pass with the newest key (EdDSA JWS, typ "mesh-pass+jwt").
// Times are cut to the second. The same pass gives the same bytes. The error
// wraps ErrMalformed when a field breaks the rule beside it or the token would
// exceed MaxTokenSize.
func (k *Keyring) SignPass(p Pass) (string, error) {
	c, err := p.claims()
	if err != nil {
		return "", fmt.Errorf("sign pass: %w", err)
	}
	return k.sign(typePass, c)
}

// SignSegment signs a segment token with the newest key (EdDSA JWS, typ
// "mesh-segment+jwt"). It is deterministic: the same segment gives the same
// bytes. Expires is cut to the second. The error wraps ErrMalformed when a field
// breaks the rule beside it or the token would exceed MaxTokenSize.
func (k *Keyring) SignSegment(s Segment) (string, error) {
	c, err := s.claims()
	if err != nil {
		return "", fmt.Errorf("sign segment: %w", err)
	}
	return k.sign(typeSegment, c)
}

func newRingKey(now time.Time) (ringKey, error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return ringKey{}, fmt.Errorf("make signing key: %w", err)
	}
	return ringKey{id: keyID(public), created: time.Unix(now.Unix(), 0).UTC(), private: private}, nil
}

func assemble(keys []ringKey) (*Keyring, error) {
	publics := make(map[string]ed25519.PublicKey, len(keys))
	for _, key := range keys {
		if err := checkKeyID(key.id); err != nil {
			return nil, err
		}
		if _, twice := publics[key.id]; twice {
			return nil, fmt.Errorf("%w: key id %q occurs twice", ErrBadKeys, key.id)
		}
		publics[key.id] = key.private.Public().(ed25519.PublicKey)
	}
	newest := keys[0].id
	return &Keyring{
		keys:     keys,
		verifier: newVerifier(publics),
		headers: map[string]string{
			typePass:    encodeHeader(newest, typePass),
			typeSegment: encodeHeader(newest, typeSegment),
		},
	}, nil
}

func (k *Keyring) sign(typ string, claims any) (string, error) {
	return signCompact(k.keys[0].private, k.headers[typ], claims)
}

func (k *Keyring) marshal(private bool) ([]byte, error) {
	set := meshJWKS{Keys: make([]meshJWK, 0, len(k.keys))}
	for _, key := range k.keys {
		jwk := meshJWK{
			KeyType:   "OKP",
			Curve:     "Ed25519",
			KeyID:     key.id,
			Use:       "sig",
			Algorithm: "EdDSA",
			X:         b64.EncodeToString(key.private.Public().(ed25519.PublicKey)),
			IssuedAt:  key.created.Unix(),
		}
		if private {
			jwk.D = b64.EncodeToString(key.private.Seed())
		}
		set.Keys = append(set.Keys, jwk)
	}
	out, err := json.Marshal(set)
	if err != nil {
		return nil, fmt.Errorf("encode key set: %w", err)
	}
	return out, nil
}

// keyID is the first 12 bytes of the key's JWK thumbprint (RFC 7638, RFC 8037
// section 2) in base64url: 16 characters, which keeps tokens short. It only
// selects a key; it proves nothing.
func keyID(public ed25519.PublicKey) string {
	sum := sha256.Sum256([]byte(`{"crv":"Ed25519","kty":"OKP","x":"` + b64.EncodeToString(public) + `"}`))
	return b64.EncodeToString(sum[:12])
}

// checkKeyID holds key ids to unreserved URI characters, so that a header can be
// written without escapes and a log line without quotes.
func checkKeyID(id string) error {
	if id == "" || len(id) > maxKeyIDSize {
		return fmt.Errorf("%w: a key id must have 1 to %d characters", ErrBadKeys, maxKeyIDSize)
	}
	for i := range len(id) {
		if !isUnreserved(id[i]) {
			return fmt.Errorf("%w: key id may only hold letters, digits and - . _ ~", ErrBadKeys)
		}
	}
	return nil
}

func decodeJWKS(raw []byte) (meshJWKS, error) {
	var set meshJWKS
	if len(raw) > maxKeySetSize {
		return set, fmt.Errorf("%w: %d bytes, the limit is %d", ErrBadKeys, len(raw), maxKeySetSize)
	}
	if err := decodeObject(raw, &set); err != nil {
		return set, fmt.Errorf("%w: not a JWKS (RFC 7517 section 5)", ErrBadKeys)
	}
	if len(set.Keys) == 0 || len(set.Keys) > maxKeySetKeys {
		return set, fmt.Errorf("%w: it has %d keys, want 1 to %d", ErrBadKeys, len(set.Keys), maxKeySetKeys)
	}
	return set, nil
}

// public gives the Ed25519 public key of a JWK that is one.
func (j meshJWK) public() (ed25519.PublicKey, error) {
	if !j.isEd25519() {
		return nil, fmt.Errorf("%w: want kty \"OKP\" and crv \"Ed25519\"", ErrBadKeys)
	}
	if j.Algorithm != "" && j.Algorithm != "EdDSA" && j.Algorithm != "Ed25519" {
		return nil, fmt.Errorf("%w: alg must be \"EdDSA\" or absent", ErrBadKeys)
	}
	if j.Use != "" && j.Use != "sig" {
		return nil, fmt.Errorf("%w: use must be \"sig\" or absent", ErrBadKeys)
	}
	x, err := decodeB64(j.X)
	if err != nil || len(x) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: \"x\" must be %d bytes in base64url", ErrBadKeys, ed25519.PublicKeySize)
	}
	return ed25519.PublicKey(x), nil
}

func (j meshJWK) isEd25519() bool { return j.KeyType == "OKP" && j.Curve == "Ed25519" }
