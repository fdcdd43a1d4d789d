package tokens

import "errors"

// What can be wrong with a pass, a segment token or the keys that check them.
// Errors returned by this package wrap one of these and never contain the token.
var (
	// ErrMalformed: not a compact JWS in canonical base64url, a claim that is
	// missing, of the wrong type or out of range, or longer than MaxTokenSize.
	ErrMalformed = errors.New("token is malformed")
	// ErrAlgorithm: the header names an algorithm other than the pinned one.
	ErrAlgorithm = errors.New("token algorithm is not allowed")
	// ErrWrongType: the header's typ is that of another kind of token.
	ErrWrongType = errors.New("token is of another type")
	// ErrCritical: the header lists critical extensions; none is understood.
	ErrCritical = errors.New("token demands an extension that is not understood")
	// ErrUnknownKey: no key with the token's key id. Fetch the edge's public
	// keys again before giving up: the keys may have been rotated.
	ErrUnknownKey = errors.New("token is signed with an unknown key")
	// ErrSignature: the key is known and the signature does not verify.
	ErrSignature = errors.New("token signature does not verify")
	// ErrExpired: the token was good, and its expiry is now or in the past.
	ErrExpired = errors.New("token has expired")
	// ErrBadKeys: a key set that cannot be used; the message says why.
	ErrBadKeys = errors.New("key set cannot be used")
)
