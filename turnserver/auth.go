package turnserver

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"encoding/base64"
	"strconv"
	"strings"
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

// longTermKey is the key of RFC 8489, section 9.2.2, for the password that the REST
// form gives username under secret.
func longTermKey(secret []byte, username, realm string) []byte {
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(username))
	password := base64.StdEncoding.EncodeToString(mac.Sum(nil))
	sum := md5.Sum([]byte(username + ":" + realm + ":" + password))
	return sum[:]
}
