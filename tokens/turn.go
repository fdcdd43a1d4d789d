package tokens

import (
	"crypto/hmac"
	"crypto/sha1" // the TURN REST form is defined over HMAC-SHA1
	"encoding/base64"
	"errors"
	"strconv"
	"strings"
	"time"
)

// ErrTURNUsername: not a username of the form TURNCredentials makes.
var ErrTURNUsername = errors.New("turn username must be \"expiry:user\" with the expiry in Unix seconds")

// TURNCredentials gives short-lived TURN credentials in the REST form of
// draft-uberti-behave-turn-rest-00 section 2.2: username "expiry:user" with the
// expiry in Unix seconds ("expiry" alone for an empty user), password the
// standard base64 of HMAC-SHA1(secret, username). The TURN server needs only the
// secret to check them.
func TURNCredentials(secret []byte, user string, expires time.Time) (username, password string) {
	username = strconv.FormatInt(expires.Unix(), 10)
	if user != "" {
		username += ":" + user
	}
	return username, TURNPassword(secret, username)
}

// TURNPassword gives the password that belongs to a REST username, which a TURN
// server uses as the long-term credential's password (RFC 8489 section 9.2).
func TURNPassword(secret []byte, username string) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(username))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// ParseTURNUsername splits a REST username. It checks the form only: the caller
// compares the expiry with its clock. The error is ErrTURNUsername.
func ParseTURNUsername(username string) (user string, expires time.Time, err error) {
	stamp, user, _ := strings.Cut(username, ":")
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || seconds < 0 || seconds > maxSafeInteger || strconv.FormatInt(seconds, 10) != stamp {
		return "", time.Time{}, ErrTURNUsername
	}
	return user, time.Unix(seconds, 0).UTC(), nil
}
