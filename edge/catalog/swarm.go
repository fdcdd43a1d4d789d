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

// bootstrap is what Mesh-Bootstrap says.
type bootstrap struct {
	session, swarm string
	token, params  string // names, with spaces between
	path           string // expression of manifest.Identity.Path
}

// marshalled is a bootstrap and the value of its header.
type marshalled struct {
	bootstrap
	value string
}

// marshal returns the value of Mesh-Bootstrap (RFC 9651 dictionary). What is "" is
// left out. It fails for what is no RFC 9651 string.
func (b bootstrap) marshal() (string, error) {
	d := httpsfv.NewDictionary()
	d.Add("v", httpsfv.NewItem(1))
	d.Add("session", httpsfv.NewItem(b.session))
	d.Add("swarm", httpsfv.NewItem(b.swarm))
	for _, f := range []struct{ name, value string }{{"token", b.token}, {"params", b.params}, {"path", b.path}} {
		if f.value != "" {
			d.Add(f.name, httpsfv.NewItem(f.value))
		}
	}
	return httpsfv.Marshal(d)
}

// ValidBootstrap returns an error if no Mesh-Bootstrap can carry a session path
// and names of viewer tokens, or of parameters.
func ValidBootstrap(session, names string) error {
	_, err := bootstrap{session: session, token: names}.marshal()
	return err
}
