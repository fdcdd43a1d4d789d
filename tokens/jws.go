package tokens

import (
	"crypto/ed25519"
	"encoding/base64"
	"fmt"
	"strings"

	"github.com/go-jose/go-jose/v4/json"
)

// MaxTokenSize bounds a pass or segment token, in bytes, when it is read and
// when it is made.
const MaxTokenSize = 2048

const (
	typePass    = "mesh-pass+jwt"
	typeSegment = "mesh-segment+jwt"

	// maxSafeInteger is the largest integer a JavaScript number holds exactly.
	maxSafeInteger = 1<<53 - 1
)

// b64 is base64url without padding, refusing non-zero trailing bits, so that a
// token has one spelling only (RFC 7515 section 2, RFC 4648 section 3.5).
var b64 = base64.RawURLEncoding.Strict()

// decodeB64 decodes one part of a JWS. The standard decoder skips line breaks;
// here they are an error.
func decodeB64(s string) ([]byte, error) {
	if strings.ContainsAny(s, "\r\n") {
		return nil, fmt.Errorf("%w: line break in base64url", ErrMalformed)
	}
	raw, err := b64.DecodeString(s)
	if err != nil {
		return nil, fmt.Errorf("%w: not canonical base64url", ErrMalformed)
	}
	return raw, nil
}

// encodeHeader gives the encoded protected header of a token. For one key and
// type it is always the same string, so a verifier can look it up.
func encodeHeader(kid, typ string) string {
	return b64.EncodeToString([]byte(`{"alg":"EdDSA","kid":"` + kid + `","typ":"` + typ + `"}`))
}

// signCompact signs claims as a compact JWS. Ed25519 is deterministic, and so is
// the JSON of a struct: equal claims give equal bytes.
func signCompact(key ed25519.PrivateKey, header string, claims any) (string, error) {
	payload, err := json.Marshal(claims)
	if err != nil {
		return "", fmt.Errorf("encode claims: %w", err)
	}
	var sb strings.Builder
	sb.Grow(len(header) + 2 + b64.EncodedLen(len(payload)) + b64.EncodedLen(ed25519.SignatureSize))
	sb.WriteString(header)
	sb.WriteByte('.')
	sb.WriteString(b64.EncodeToString(payload))
	signature := ed25519.Sign(key, []byte(sb.String()))
	sb.WriteByte('.')
	sb.WriteString(b64.EncodeToString(signature))
	if sb.Len() > MaxTokenSize {
		return "", fmt.Errorf("%w: %d bytes, the limit is %d: shorten the scope or path", ErrMalformed, sb.Len(), MaxTokenSize)
	}
	return sb.String(), nil
}

// jwsHeader is the part of a protected header that decides anything.
type jwsHeader struct {
	Algorithm string          `json:"alg"`
	KeyID     string          `json:"kid"`
	Type      string          `json:"typ"`
	Critical  json.RawMessage `json:"crit"`
}

// decodeHeader reads an encoded protected header. The decoder of go-jose is used
// because it matches names exactly and refuses a doubled name, which
// encoding/json does not.
func decodeHeader(encoded string) (jwsHeader, error) {
	var h jwsHeader
	raw, err := decodeB64(encoded)
	if err != nil {
		return h, err
	}
	if err := decodeObject(raw, &h); err != nil {
		return h, fmt.Errorf("%w: header is not a JSON object of the known shape", ErrMalformed)
	}
	return h, nil
}

// decodeObject decodes a JSON object and nothing else: null, arrays and trailing
// data are errors.
func decodeObject(raw []byte, into any) error {
	if trimmed := strings.TrimLeft(string(raw[:min(len(raw), 64)]), " \t\r\n"); !strings.HasPrefix(trimmed, "{") {
		return ErrMalformed
	}
	return json.Unmarshal(raw, into)
}
