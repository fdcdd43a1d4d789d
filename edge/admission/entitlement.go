package admission

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"
)

// entitledFor is how long a session may last on a token that never expires.
const entitledFor = 24 * time.Hour

// entitlement is what a session is based on.
type entitlement struct {
	scope  []string  // path prefixes that the viewer token allows
	until  time.Time // when the token expires
	viewer Viewer    // whom it names
	key    [32]byte  // that verified it
}

// everything is what a session is based on at a site without viewer tokens.
func everything(now time.Time) entitlement {
	return entitlement{scope: []string{"/"}, until: now.Add(entitledFor)}
}

// seal encrypts what sessions are based on, so that their passes carry it: it survives a
// restart, another edge with the same secret knows it, and nobody else can read whose pass
// it is.
type seal struct{ cipher.AEAD }

func newSeal(secret []byte) seal {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("standing"))
	block, err := aes.NewCipher(mac.Sum(nil))
	if err != nil {
		panic(err) // only for another size of the key
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		panic(err) // only for another size of the block
	}
	return seal{aead}
}

// maxSealedScope bounds the paths of a seal, in bytes, so that passes stay small: a viewer
// with more of them has its session for the first.
const maxSealedScope = 512

// sealed is an entitlement as it is encrypted.
type sealed struct {
	Scope  []string `json:"s"`
	Until  int64    `json:"u"` // Unix seconds
	Viewer []byte   `json:"v,omitempty"`
	Key    []byte   `json:"k"`
}

// close encrypts e for the pass of a peer.
func (s seal) close(e entitlement, peer string) (string, error) {
	c := sealed{Until: e.until.Unix(), Key: e.key[:]}
	for size, i := 0, 0; i < len(e.scope); i++ {
		if size += len(e.scope[i]); size <= maxSealedScope {
			c.Scope = append(c.Scope, e.scope[i])
		}
	}
	if e.viewer != (Viewer{}) {
		c.Viewer = e.viewer[:]
	}
	b, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.Seal(nil, nil, b, []byte(peer))), nil
}

var errSeal = errors.New("the standing of a pass was not sealed here")

// open decrypts what close has encrypted for the same peer.
func (s seal) open(text, peer string) (e entitlement, err error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return e, errSeal
	}
	var c sealed
	if b, err = s.Open(nil, nil, b, []byte(peer)); err != nil || json.Unmarshal(b, &c) != nil || len(c.Key) != len(e.key) {
		return e, errSeal
	}
	e = entitlement{scope: c.Scope, until: time.Unix(c.Until, 0), key: [32]byte(c.Key)}
	copy(e.viewer[:], c.Viewer)
	return e, nil
}
