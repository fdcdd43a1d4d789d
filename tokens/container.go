package tokens

import (
	"crypto/sha256"
	"crypto/subtle"
	"regexp"
	"regexp/syntax"
	"strings"
)

const (
	maxPatternSize = 2048 // bytes of a regular expression in a token
	maxPatternCost = 1000 // steps it may compile to, repeats multiplied out
)

// uriContainer is a parsed cdniuc claim (RFC 9246 sections 2.1.11 and 2.1.15).
type uriContainer struct {
	pattern *regexp.Regexp // regex:
	cones   []cone         // of the pattern
	digest  []byte         // hash:, 16 or 32 bytes of SHA-256
}

// parseContainer reads "hash:" and "regex:" containers.
func parseContainer(claim string) (*uriContainer, error) {
	form, value, _ := strings.Cut(claim, ":")
	switch form {
	case "regex":
		return parsePattern(value)
	case "hash":
		return parseDigest(value)
	}
	return nil, refuse(ReasonURI, "the URI container is neither hash: nor regex:")
}

// parseDigest reads the URL segment form of RFC 6920 section 4. Truncations
// below 128 bits are not accepted.
func parseDigest(value string) (*uriContainer, error) {
	name, encoded, _ := strings.Cut(value, ";")
	digest, err := decodeB64(encoded)
	size := map[string]int{"sha-256": 32, "sha-256-128": 16}[name]
	if err != nil || size == 0 || len(digest) != size {
		return nil, refuse(ReasonURI, "the URI container's hash is not sha-256 or sha-256-128 in base64url")
	}
	return &uriContainer{digest: digest}, nil
}

// parsePattern compiles a POSIX extended regular expression that has to match
// the whole URI. Matching takes time linear in the URI's length times the
// pattern's cost, and both are bounded, so that a stolen signing key cannot stop
// the server (RFC 9246 section 7). Differences to POSIX are regexp's: a
// backslash escapes inside brackets too, and there are no collating elements.
func parsePattern(expr string) (*uriContainer, error) {
	if len(expr) > maxPatternSize {
		return nil, refuse(ReasonURI, "the URI container's expression is longer than 2 KiB")
	}
	tree, err := syntax.Parse(expr, syntax.POSIX)
	if err != nil {
		return nil, refuse(ReasonURI, "the URI container's expression is not a POSIX extended regular expression")
	}
	if patternCost(tree) > maxPatternCost {
		return nil, refuse(ReasonURI, "the URI container's expression is too large")
	}
	// The expression was parsed alone above, so it cannot close the group.
	pattern, err := regexp.CompilePOSIX("^(" + expr + ")$")
	if err != nil {
		return nil, refuse(ReasonURI, "the URI container's expression is not a POSIX extended regular expression")
	}
	return &uriContainer{pattern: pattern, cones: conesOf(tree)}, nil
}

func (c *uriContainer) matches(uri normalURI) bool {
	if c.digest != nil {
		sum := sha256.Sum256([]byte(uri.text))
		return subtle.ConstantTimeCompare(sum[:len(c.digest)], c.digest) == 1
	}
	// A pattern says which paths are meant by their spelling; a path that the
	// file system or the upstream may read as another one is not among them.
	return isPlainPath(uri.path) && c.pattern.MatchString(uri.text)
}

// patternCost estimates the size of the compiled program, before compiling it.
func patternCost(re *syntax.Regexp) int {
	cost := 1
	switch re.Op {
	case syntax.OpLiteral:
		cost = len(re.Rune)
	case syntax.OpCharClass:
		cost = 1 + len(re.Rune)/8
	}
	for _, sub := range re.Sub {
		cost = min(cost+patternCost(sub), maxPatternCost+1)
	}
	if re.Op == syntax.OpRepeat {
		cost = min(cost*max(re.Min+1, re.Max), maxPatternCost+1)
	}
	return cost
}

// HashContainer makes the cdniuc claim that allows one URI and no other.
func HashContainer(uri string) (string, error) {
	n, err := normalizeURI(uri)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(n.text))
	return "hash:sha-256;" + b64.EncodeToString(sum[:]), nil
}

// RegexContainer makes the cdniuc claim that allows every URI a POSIX extended
// regular expression matches as a whole. Escape dots, and end with "(\?.*)?"
// where queries may follow.
func RegexContainer(expr string) (string, error) {
	if _, err := parsePattern(expr); err != nil {
		return "", err
	}
	return "regex:" + expr, nil
}
