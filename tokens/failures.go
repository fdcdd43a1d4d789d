package tokens

import (
	"errors"
	"strings"
	"time"
)

const (
	// failuresFor is how long a token that was refused is refused without another
	// check of its signature.
	failuresFor = 5 * time.Second
	maxFailures = 4096
)

// newFailures makes a memory of refused tokens, for viewers that remember any.
func newFailures(remember int) *Remember[Refusal] {
	return NewRemember[Refusal](min(remember, maxFailures))
}

// remembering reads a token, unless it was refused a moment ago for what it is.
func remembering[T any](failures *Remember[Refusal], token string, now time.Time, read func() (T, error)) (t T, err error) {
	if was, ok := failures.Get(token, now); ok {
		return t, &was
	}
	t, err = read()
	var refusal *Refusal
	if errors.As(err, &refusal) && refusal.Reason != ReasonKeysUnavailable && refusal.Reason != ReasonUnknownKey {
		failures.Put(token, *refusal, now.Add(failuresFor))
	}
	return t, err
}

// claimsToLive reports whether a token says, before its signature is checked, that it
// has not expired.
func claimsToLive(token string, now time.Time) bool {
	if len(token) > MaxViewerTokenSize {
		return false
	}
	rest, _, ok := cutLast(token, '.')
	_, payload, _ := cutLast(rest, '.')
	if !ok {
		return false
	}
	body, err := decodeB64(payload)
	if err != nil {
		return false
	}
	var claims claimSet
	if decodeObject(body, &claims) != nil {
		return false
	}
	expires, there, err := claims.date("exp")
	return err == nil && (!there || now.Before(expires))
}

// cutLast cuts s around the last c; without one all of s is after it.
func cutLast(s string, c byte) (before, after string, found bool) {
	if i := strings.LastIndexByte(s, c); i >= 0 {
		return s[:i], s[i+1:], true
	}
	return "", s, false
}
