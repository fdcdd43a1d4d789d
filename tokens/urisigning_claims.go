package tokens

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/netip"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/go-jose/go-jose/v4/json"
)

// readToken verifies a token and reads its claims (RFC 9246 section 2.1).
func (u *URISigning) readToken(ctx context.Context, token string) (*uriToken, error) {
	if u.config.Header != "" && strings.Count(token, ".") == 1 {
		token = u.config.Header + "." + token
	}
	v, err := u.checker.verify(ctx, token)
	if err != nil {
		return nil, err
	}
	t := &uriToken{verified: v}
	c := v.claims
	if err := checkVersion(c); err != nil {
		return nil, err
	}
	if t.extensions, err = u.criticalClaims(c); err != nil {
		return nil, err
	}
	if err := c.require(u.config.Required); err != nil {
		return nil, err
	}
	if t.subject, err = u.readSubject(c); err != nil {
		return nil, err
	}
	t.site, _, _ = c.text("siteId") // one that is no string names no site
	if err := c.checkAudience(u.config.Audience); err != nil {
		return nil, err
	}
	if t.expires, _, err = c.date("exp"); err != nil {
		return nil, err
	}
	if t.notBefore, _, err = c.date("nbf"); err != nil {
		return nil, err
	}
	if _, _, err = c.date("iat"); err != nil {
		return nil, err
	}
	if t.id, t.hasID, err = c.text("jti"); err != nil {
		return nil, err
	}
	if t.renewal, err = readRenewalTerms(c); err != nil {
		return nil, err
	}
	if t.address, err = u.readAddress(c); err != nil {
		return nil, err
	}
	container, ok, err := c.text("cdniuc")
	if err != nil || !ok {
		return nil, refuse(ReasonURI, "the token has no URI container (cdniuc)")
	}
	if t.container, ok = u.containers.Get(container, time.Time{}); ok {
		return t, nil
	}
	if t.container, err = parseContainer(container); err != nil {
		return nil, err
	}
	u.containers.Put(container, t.container, time.Time{})
	return t, nil
}

// definedClaims are the names RFC 9246 defines, which cdnicrit must not list.
var definedClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "cdniv", "cdnicrit", "cdniip", "cdniuc", "cdniets", "cdnistt", "cdnistd",
}

// checkVersion reads cdniv (section 2.1.8): 1, also where it is missing.
func checkVersion(c claimSet) error {
	if raw, ok := c["cdniv"]; ok && string(raw) != "1" {
		return refuse(ReasonVersion, "the claim set's version is not 1")
	}
	return nil
}

// criticalClaims reads cdnicrit (section 2.1.9), a comma-separated list of
// claims that must be understood.
func (u *URISigning) criticalClaims(c claimSet) ([]string, error) {
	list, ok, err := c.text("cdnicrit")
	if err != nil || !ok {
		return nil, err
	}
	var names []string
	for name := range strings.SplitSeq(list, ",") {
		name = strings.TrimSpace(name)
		switch {
		case slices.Contains(definedClaims, name), slices.Contains(names, name), !c.has(name):
			return nil, refuse(ReasonCritical, "the list of critical claims breaks its rules")
		case u.config.Extensions[name] == nil:
			return nil, refuse(ReasonCritical, "the token demands an extension that is not understood")
		}
		names = append(names, name)
	}
	return names, nil
}

// readSubject reads sub (section 2.1.2), which must be encrypted.
func (u *URISigning) readSubject(c claimSet) (string, error) {
	sealed, ok, err := c.text("sub")
	if err != nil || !ok {
		return "", err
	}
	subject, err := decryptClaim(u.config.Decrypt, sealed)
	switch {
	case errors.Is(err, errNotJWE):
		return "", refuse(ReasonSubject, "the subject is not encrypted")
	case err != nil && u.config.Decrypt != nil:
		return "", refuse(ReasonSubject, "the subject cannot be decrypted")
	}
	return subject, nil
}

// readAddress reads cdniip (section 2.1.10), which must be encrypted. The RFC's
// own example writes the prefix in square brackets.
func (u *URISigning) readAddress(c claimSet) (netip.Prefix, error) {
	sealed, ok, err := c.text("cdniip")
	if err != nil || !ok {
		return netip.Prefix{}, err
	}
	text, err := decryptClaim(u.config.Decrypt, sealed)
	if err != nil {
		return netip.Prefix{}, refuse(ReasonClientIP, "the client address cannot be decrypted")
	}
	if strings.HasPrefix(text, "[") {
		text = strings.TrimSuffix(text[1:], "]")
	}
	prefix, err := netip.ParsePrefix(text)
	if err != nil {
		addr, err := netip.ParseAddr(text)
		if err != nil || addr.Zone() != "" {
			return netip.Prefix{}, refuse(ReasonClientIP, "the client address is neither an address nor a prefix")
		}
		prefix = netip.PrefixFrom(addr, addr.BitLen())
	}
	if addr := prefix.Addr(); addr.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, refuse(ReasonClientIP, "the client address is neither an address nor a prefix")
		}
		prefix = netip.PrefixFrom(addr.Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}

// replayID names one use: an issuer's jti for one content (section 2.1.7). The content
// is the host and the path as the most lenient server reads it, so that no other
// spelling, parameter or scheme makes another use of it.
func replayID(issuer, id string, uri normalURI) [32]byte {
	_, host, _ := strings.Cut(uri.site, "://")
	if i := strings.LastIndexByte(host, ':'); i > strings.LastIndexByte(host, ']') {
		host = host[:i]
	}
	file := uri.path
	if decoded, err := url.PathUnescape(file); err == nil {
		file = decoded
	}
	segments := strings.Split(file, "/")
	for i, s := range segments {
		segments[i], _, _ = strings.Cut(s, ";")
	}
	file = strings.ToLower(path.Clean("/" + strings.Join(segments, "/")))
	raw, _ := json.Marshal([]string{issuer, id, host, file}) // strings always encode
	return sha256.Sum256(raw)
}

// replayAccount names whose token it is.
func replayAccount(t *uriToken) [32]byte {
	raw, _ := json.Marshal([]string{t.verified.issuer, t.subject, t.id})
	if t.subject != "" {
		raw, _ = json.Marshal([]string{t.verified.issuer, t.subject})
	}
	return sha256.Sum256(raw)
}
