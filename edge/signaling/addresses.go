package signaling

import (
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
		m.SDP = hideInSDP(m.SDP)
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

// hideInSDP drops candidate lines (RFC 8839, section 5.1) that are no relay's, and
// takes the addresses out of the lines c= (RFC 8866, section 5.7) and a=rtcp
// (RFC 3605), which repeat a candidate's.
func hideInSDP(sdp string) string {
	var b strings.Builder
	for line := range strings.Lines(sdp) {
		text := strings.TrimRight(line, "\r\n")
		end := line[len(text):]
		switch {
		case strings.HasPrefix(text, "a=candidate:"):
			c, ok := relayCandidate(text[len("a="):])
			if !ok {
				continue
			}
			text = "a=" + c
		case strings.HasPrefix(text, "c="):
			text = "c=IN IP4 0.0.0.0"
		case strings.HasPrefix(text, "a=rtcp:"):
			text = "a=rtcp:9 IN IP4 0.0.0.0"
		}
		b.WriteString(text + end)
	}
	return b.String()
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
