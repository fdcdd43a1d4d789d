package catalog

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"time"

	"github.com/dunglas/httpsfv"
)

// swarmEpoch is how long a presentation keeps its swarm id. A session opened
// with the id before stays where it is.
const swarmEpoch = 7 * 24 * time.Hour

// epochOf numbers the epoch of a time.
func epochOf(now time.Time) int64 { return now.Unix() / int64(swarmEpoch/time.Second) }

// swarmID returns the swarm id of a presentation in an epoch: the first 16 bytes,
// in base64url, of HMAC-SHA256 over the epoch and the presentation. It cannot be
// guessed from a URL, and it is the same at each edge with the same secret.
func swarmID(secret []byte, presentation string, epoch int64) string {
	mac := hmac.New(sha256.New, secret)
	_ = binary.Write(mac, binary.BigEndian, epoch)
	mac.Write([]byte(presentation))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// bootstrap is a value of Mesh-Bootstrap and what it was made from.
type bootstrap struct{ session, swarm, token, value string }

// newBootstrap makes a value of Mesh-Bootstrap (RFC 9651 dictionary). token are the
// names of viewer tokens in URLs, with spaces between; "" for none. It fails for a
// session path that is no RFC 9651 string.
func newBootstrap(session, swarm, token string) (*bootstrap, error) {
	d := httpsfv.NewDictionary()
	d.Add("v", httpsfv.NewItem(1))
	d.Add("session", httpsfv.NewItem(session))
	d.Add("swarm", httpsfv.NewItem(swarm))
	if token != "" {
		d.Add("token", httpsfv.NewItem(token))
	}
	value, err := httpsfv.Marshal(d)
	return &bootstrap{session, swarm, token, value}, err
}

// ValidBootstrap returns an error if no Mesh-Bootstrap can carry a session path
// and names of viewer tokens.
func ValidBootstrap(session, token string) error {
	_, err := newBootstrap(session, "", token)
	return err
}
