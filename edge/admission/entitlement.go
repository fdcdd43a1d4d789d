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
	site   string    // that it names
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

// basis is what the edge has to know of a session as long as it lasts.
type basis struct {
	entitled *entitlement // nil where the site requires no viewer tokens
	device   device
	site     siteID
}

// device is what a viewer has said of what it plays on, as in signal.Device.
type device struct {
	Kind       string `json:"k,omitempty"`
	Connection string `json:"c,omitempty"`
}

// sealed is a basis as it is encrypted.
type sealed struct {
	Scope  []string `json:"s,omitempty"`
	Until  int64    `json:"u,omitempty"` // Unix seconds
	Viewer []byte   `json:"v,omitempty"`
	Key    []byte   `json:"k,omitempty"` // empty without entitlement
	Device *device  `json:"d,omitempty"`
	Site   *siteID  `json:"w,omitempty"`
}

// close encrypts what a session is based on for the pass of a peer; "" if there is nothing
// to know.
func (s seal) close(of basis, peer string) (string, error) {
	var c sealed
	if of.device != (device{}) {
		c.Device = &of.device
	}
	if of.site.Name != "" {
		c.Site = &of.site
	}
	if e := of.entitled; e != nil {
		c.Until, c.Key = e.until.Unix(), e.key[:]
		for size, i := 0, 0; i < len(e.scope); i++ {
			if size += len(e.scope[i]); size <= maxSealedScope {
				c.Scope = append(c.Scope, e.scope[i])
			}
		}
		if e.viewer != (Viewer{}) {
			c.Viewer = e.viewer[:]
		}
	} else if c.Device == nil && c.Site == nil {
		return "", nil
	}
	b, err := json.Marshal(c)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(s.Seal(nil, nil, b, []byte(peer))), nil
}

var errSeal = errors.New("the standing of a pass was not sealed here")

// open decrypts what close has encrypted for the same peer.
func (s seal) open(text, peer string) (of basis, err error) {
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		return of, errSeal
	}
	var c sealed
	if b, err = s.Open(nil, nil, b, []byte(peer)); err != nil || json.Unmarshal(b, &c) != nil {
		return of, errSeal
	}
	if c.Device != nil {
		of.device = *c.Device
	}
	if c.Site != nil {
		of.site = *c.Site
	}
	switch len(c.Key) {
	case 0:
	case 32:
		of.entitled = &entitlement{scope: c.Scope, until: time.Unix(c.Until, 0), key: [32]byte(c.Key)}
		copy(of.entitled.viewer[:], c.Viewer)
	default:
		return basis{}, errSeal
	}
	return of, nil
}
