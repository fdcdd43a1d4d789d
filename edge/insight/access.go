package insight

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"strings"
	"time"
)

// Access says who may read the figures of a site. Its zero value lets nobody in but by links.
type Access struct {
	// Token is a bearer token (RFC 6750). Empty: none is accepted.
	Token string
	// Allow reports whether a request may read without a token: the operator's own rule.
	Allow func(*http.Request) bool
}

// MaxLink is the longest life of a link.
const MaxLink = 31 * 24 * time.Hour

// SignLink returns the key of a link that lets anybody read the figures of a host, or of
// all for "", until a time. It is made with the secret of the edge.
func SignLink(secret []byte, host string, until time.Time) string {
	b := binary.BigEndian.AppendUint64(nil, uint64(until.Unix()))
	return base64.RawURLEncoding.EncodeToString(append(b, linkMAC(secret, host, b)...))
}

func linkMAC(secret []byte, host string, until []byte) []byte {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte("insight link\x00"))
	mac.Write(until)
	mac.Write([]byte(host))
	return mac.Sum(nil)
}

// validLink reports whether a key was made by SignLink for a host, and is good still.
func validLink(secret []byte, host, key string, now time.Time) bool {
	b, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil || len(b) != 8+sha256.Size {
		return false
	}
	until := time.Unix(int64(binary.BigEndian.Uint64(b)), 0)
	return hmac.Equal(b[8:], linkMAC(secret, host, b[:8])) && now.Before(until)
}

// Admits reports whether a request may read the figures of a host: by its bearer token,
// which may be the key of a link, or by the operator's rule.
func (a *Access) Admits(r *http.Request, secret []byte, host string, now time.Time) bool {
	if scheme, token, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		if a.Token != "" && subtle.ConstantTimeCompare([]byte(token), []byte(a.Token)) == 1 {
			return true
		}
		if validLink(secret, host, token, now) {
			return true
		}
	}
	return a.Allow != nil && a.Allow(r)
}
