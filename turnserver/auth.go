package turnserver

import (
	"bytes"
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"strconv"
	"strings"
	"sync"
	"time"
)

// credential is a name of the TURN REST form "expiry:user" (draft-uberti-behave-turn-rest):
// expiry in Unix seconds, and whatever the minter calls the user.
type credential struct {
	user    string
	expires time.Time
}

// parseCredential reads a USERNAME. A name of digits alone is a credential too;
// its user is the name itself, so that quotas hold for it.
func parseCredential(username string) (credential, bool) {
	stamp, user, _ := strings.Cut(username, ":")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || seconds < 0 || stamp[0] == '+' {
		return credential{}, false
	}
	if user == "" {
		user = username
	}
	return credential{user: user, expires: time.Unix(seconds, 0)}, true
}

// password is what the REST form gives username under secret.
func password(secret []byte, username string) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// The password algorithms of RFC 8489, section 18.5, by which a password becomes a key.
const (
	algorithmMD5    = 1
	algorithmSHA256 = 2
)

// algorithms is the value of the PASSWORD-ALGORITHMS that the server offers: both,
// without parameters, the stronger first.
var algorithms = []byte{0, algorithmSHA256, 0, 0, 0, algorithmMD5, 0, 0}

// longTermKey is the key of RFC 8489, section 9.2.2, for the password that the REST
// form gives username under secret.
func longTermKey(algorithm byte, secret []byte, username, realm string) []byte {
	text := []byte(username + ":" + realm + ":" + password(secret, username))
	if algorithm == algorithmSHA256 {
		sum := sha256.Sum256(text)
		return sum[:]
	}
	sum := md5.Sum(text)
	return sum[:]
}

// passwordAlgorithm returns the password algorithm of the request: RFC 8489, section 9.2.4. ok
// is false where it does not fit what the server has offered, which a man in the
// middle may have changed.
func (m *message) passwordAlgorithm() (a byte, ok bool) {
	switch m.has & (hasAlgorithm | hasAlgorithms) {
	case 0:
		return algorithmMD5, true
	case hasAlgorithm | hasAlgorithms:
		a = m.algorithm[1]
		return a, bytes.Equal(m.algorithms, algorithms) && bytes.Equal(m.algorithm, []byte{0, a, 0, 0}) &&
			(a == algorithmMD5 || a == algorithmSHA256)
	}
	return 0, false
}

// nonceCookie begins every nonce of the server: RFC 8489, section 9.2. The four
// characters behind "obMatJos2" are its security features, bit 0 (password
// algorithms) and bit 1 (user hashes), in base64.
const nonceCookie = "obMatJos2" + "wAAA"

// names are user names by their USERHASH, as a hash alone does not tell whose it is.
type names struct {
	realm   string
	mu      sync.Mutex
	by      map[[sha256.Size]byte]string
	sweepAt int
}

// maxNames bounds the names that are remembered.
const maxNames = 1 << 16

// setRealm forgets all names where the realm is another: it is part of their hashes.
func (n *names) setRealm(realm string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.by == nil || n.realm != realm {
		n.realm, n.by = realm, map[[sha256.Size]byte]string{}
	}
}

// userhash is the USERHASH of a user name: RFC 8489, section 14.4.
func userhash(username, realm string) [sha256.Size]byte {
	return sha256.Sum256([]byte(username + ":" + realm))
}

// add remembers a user name while its credentials are good.
func (n *names) add(username string, now time.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if len(n.by) >= max(n.sweepAt, 1024) {
		for hash, name := range n.by {
			if c, ok := parseCredential(name); !ok || now.After(c.expires) {
				delete(n.by, hash)
			}
		}
		n.sweepAt = 2 * len(n.by)
	}
	if len(n.by) < maxNames {
		n.by[userhash(username, n.realm)] = username
	}
}

// find returns the user name of a USERHASH.
func (n *names) find(hash []byte) (username string, ok bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	username, ok = n.by[[sha256.Size]byte(hash)]
	return username, ok
}
