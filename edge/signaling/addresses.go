package signaling

import (
	"bytes"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// hideAddresses takes from an offer, answer or candidate every address but those
// of relays, so that no viewer learns another's. It reports whether there is
// anything left to forward. A viewer that keeps to relay_only sends nothing else
// anyway; this is for one that does not.
func hideAddresses(m *signal.Message) bool {
	switch m.Type {
	case signal.Offer, signal.Answer:
		m.SDP = rewriteSDP(m.SDP, relayCandidate, true)
	case signal.Candidate:
		c := *m.Candidate
		var ok bool
		if c.Candidate, ok = relayCandidate(c.Candidate); !ok {
			return false
		}
		m.Candidate = &c
	}
	return true
}

// rewriteSDP returns an SDP with those candidates (RFC 8839, section 5.1) that may goes on
// with, as it returns them. hide takes the addresses out of the lines o= and c= (RFC 8866,
// sections 5.2 and 5.7) and a=rtcp (RFC 3605), which repeat a candidate's. Lines end as any
// parser may read them, at a CR or a LF, and leave with both.
func rewriteSDP(sdp string, may func(candidate string) (string, bool), hide bool) string {
	var b strings.Builder
	for _, line := range strings.FieldsFunc(sdp, func(r rune) bool { return r == '\r' || r == '\n' }) {
		kind := strings.ToLower(strings.TrimSpace(line))
		switch {
		case strings.HasPrefix(kind, "a=remote-candidates"):
			continue
		case strings.HasPrefix(kind, "a=candidate"):
			c, ok := may(strings.TrimSpace(line)[len("a="):])
			if !ok {
				continue
			}
			line = "a=" + c
		case !hide:
		case strings.HasPrefix(kind, "c="):
			line = "c=IN IP4 0.0.0.0"
		case strings.HasPrefix(kind, "a=rtcp:"):
			line = "a=rtcp:9 IN IP4 0.0.0.0"
		case strings.HasPrefix(kind, "o="):
			line = hideOrigin(line)
		}
		b.WriteString(line + "\r\n")
	}
	return b.String()
}

// hideOrigin takes the address out of a line o=.
func hideOrigin(line string) string {
	if f := strings.Fields(line); len(f) == 6 {
		return strings.Join(append(f[:3], "IN IP4 0.0.0.0"), " ")
	}
	return line
}

// relayCandidate gives a relay's candidate without its related address, which is
// the viewer's; ok is false for another candidate. The empty one, which ends the
// candidates, stays.
func relayCandidate(s string) (string, bool) {
	if strings.TrimSpace(s) == "" {
		return s, true
	}
	f := strings.Fields(s)
	if len(f) < 8 || !strings.EqualFold(f[6], "typ") || !strings.EqualFold(f[7], "relay") {
		return "", false
	}
	return withoutRelated(f), true
}

// withoutRelated joins the fields of a candidate, with its related address hidden (RFC
// 8839, section 5.1).
func withoutRelated(f []string) string {
	for i := 8; i+1 < len(f); i += 2 {
		switch strings.ToLower(f[i]) {
		case "raddr":
			f[i+1] = "0.0.0.0"
		case "rport":
			f[i+1] = "0"
		}
	}
	return strings.Join(f, " ")
}

// appendSDP appends an SDP that stands in a JSON string, with no other escapes than \r and \n and
// no other characters than ASCII, as rewriteSDP would leave it: for a peer that is near or not,
// and with the candidates of relays only if relayOnly is set.
func appendSDP(b, sdp []byte, near, relayOnly bool) []byte {
	hide := relayOnly || !near
	for len(sdp) > 0 {
		line := sdp
		if i := bytes.IndexByte(sdp, '\\'); i >= 0 {
			line, sdp = sdp[:i], sdp[i+2:]
		} else {
			sdp = nil
		}
		if len(line) == 0 {
			continue
		}
		switch kind := bytes.TrimLeft(line, " "); {
		case startsWith(kind, "a=remote-candidates"):
			continue
		case startsWith(kind, "a=candidate"):
			c, ok := string(bytes.TrimSpace(line)[len("a="):]), true
			if relayOnly {
				c, ok = relayCandidate(c)
			}
			if ok {
				c, ok = publicCandidate(c, near)
			}
			if !ok {
				continue
			}
			b = append(append(b, "a="...), c...)
		case hide && startsWith(kind, "c="):
			b = append(b, "c=IN IP4 0.0.0.0"...)
		case hide && startsWith(kind, "a=rtcp:"):
			b = append(b, "a=rtcp:9 IN IP4 0.0.0.0"...)
		case hide && startsWith(kind, "o="):
			b = append(b, hideOrigin(string(line))...)
		default:
			b = append(b, line...)
		}
		b = append(b, `\r\n`...)
	}
	return b
}

// startsWith reports whether a line of ASCII starts with a word, in letters of any case.
func startsWith(line []byte, word string) bool {
	return len(line) >= len(word) && line[0]|0x20 == word[0] && strings.EqualFold(string(line[:len(word)]), word)
}
