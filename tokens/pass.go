package tokens

import (
	"crypto/ed25519"
	"fmt"
	"time"
)

const (
	maxNameSize   = 128 // bytes of a peer id or swarm id
	maxScopePaths = 16
	maxStanding   = 1 << 10
)

// Pass is a peer's signed proof of admission, shown to other peers.
type Pass struct {
	// Peer is the peer id the pass was given to: 1 to 128 printable ASCII
	// characters. A pass shown by another peer proves nothing.
	Peer string
	// Swarm is the swarm the peer was admitted to: 1 to 128 printable ASCII
	// characters.
	Swarm string
	// Scope lists 1 to 16 path prefixes the peer may receive; "/" is all. See
	// CoversPath for the rule.
	Scope []string
	// ReceiveOnly says that the peer uploads nothing (no consent, save-data).
	ReceiveOnly bool
	// Key is the public half of the session key, with which the peer signs what it gives:
	// an Ed25519 key, or nil for a peer that gives nothing.
	Key ed25519.PublicKey
	// Standing is what the edge has to know of the session to renew the pass, sealed for
	// itself: visible ASCII, at most 1 KiB; "" for nothing.
	Standing string
	// Issued and Expires are kept to the second, in UTC. Expires must be later
	// than Issued. The pass is dead from Expires on.
	Issued, Expires time.Time
}

// Covers reports whether the pass lets its peer receive the resource at a path
// (percent-encoded, without query).
func (p Pass) Covers(path string) bool {
	for _, prefix := range p.Scope {
		if CoversPath(prefix, path) {
			return true
		}
	}
	return false
}

type passClaims struct {
	Peer        string   `json:"sub"`
	Swarm       string   `json:"swm"`
	Scope       []string `json:"scp"`
	ReceiveOnly bool     `json:"rcv,omitempty"`
	Key         string   `json:"key,omitempty"`
	Standing    string   `json:"std,omitempty"`
	Issued      int64    `json:"iat"`
	Expires     int64    `json:"exp"`
}

// claims are those of a pass that is about to be signed.
func (p Pass) claims() (passClaims, error) {
	c := passClaims{
		Peer: p.Peer, Swarm: p.Swarm, Scope: p.Scope, ReceiveOnly: p.ReceiveOnly, Key: b64.EncodeToString(p.Key), Standing: p.Standing,
		Issued: p.Issued.Unix(), Expires: p.Expires.Unix(),
	}
	return c, c.check()
}

// readPass reads the payload of a pass whose signature holds.
func readPass(payload []byte, now time.Time) (Pass, error) {
	var c passClaims
	if err := decodeObject(payload, &c); err != nil {
		return Pass{}, fmt.Errorf("%w: claims are not of the known shape", ErrMalformed)
	}
	if err := c.check(); err != nil {
		return Pass{}, err
	}
	p := Pass{
		Peer: c.Peer, Swarm: c.Swarm, Scope: c.Scope, ReceiveOnly: c.ReceiveOnly, Standing: c.Standing,
		Issued: time.Unix(c.Issued, 0).UTC(), Expires: time.Unix(c.Expires, 0).UTC(),
	}
	if c.Key != "" {
		p.Key, _ = decodeB64(c.Key) // checked
	}
	if !now.Before(p.Expires) {
		return Pass{}, ErrExpired
	}
	return p, nil
}

func (c passClaims) check() error {
	if !isName(c.Peer) {
		return fmt.Errorf("%w: peer id must be 1 to %d printable ASCII characters", ErrMalformed, maxNameSize)
	}
	if !isName(c.Swarm) {
		return fmt.Errorf("%w: swarm id must be 1 to %d printable ASCII characters", ErrMalformed, maxNameSize)
	}
	if len(c.Scope) == 0 || len(c.Scope) > maxScopePaths {
		return fmt.Errorf("%w: scope must have 1 to %d paths; \"/\" is all", ErrMalformed, maxScopePaths)
	}
	for _, prefix := range c.Scope {
		if !isPlainPath(prefix) {
			return fmt.Errorf("%w: a scope path must start with \"/\" and hold no query, no dot segment and no encoded slash", ErrMalformed)
		}
	}
	if key, err := decodeB64(c.Key); err != nil || len(key) != 0 && len(key) != ed25519.PublicKeySize {
		return fmt.Errorf("%w: key must be %d bytes in base64url", ErrMalformed, ed25519.PublicKeySize)
	}
	if len(c.Standing) > maxStanding {
		return fmt.Errorf("%w: standing must have at most %d bytes", ErrMalformed, maxStanding)
	}
	if c.Issued < 0 || c.Expires <= c.Issued || c.Expires > maxSafeInteger {
		return fmt.Errorf("%w: expiry must be later than the issue time", ErrMalformed)
	}
	return nil
}

// isName holds ids to visible ASCII, so that they can be logged and compared
// byte for byte in every language.
func isName(s string) bool {
	if s == "" || len(s) > maxNameSize {
		return false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
