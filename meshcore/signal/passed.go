package signal

import (
	"bytes"

	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// Passed is an offer or answer of a peer as it stands in its frame, to be passed on without
// being decoded and encoded. Its slices are the frame's.
type Passed struct {
	Type       Type
	To         wire.PeerID
	Connection []byte // within the quotes, without escapes
	SDP        []byte // within the quotes; ASCII, whose only escapes are \r and \n
}

// Read reads a frame. It returns false for one that is no offer or answer as clients write
// it, good or bad: that is a matter for [Decode].
func (p *Passed) Read(frame []byte) bool {
	*p = Passed{}
	if len(frame) > MaxMessage || len(frame) < 2 || frame[0] != '{' || frame[len(frame)-1] != '}' {
		return false
	}
	rest := frame[1 : len(frame)-1]
	to := false
	for {
		key, after, ok := quotedText(rest)
		if !ok || len(after) == 0 || after[0] != ':' {
			return false
		}
		value, after, ok := quotedText(after[1:])
		if !ok {
			return false
		}
		plain := bytes.IndexByte(value, '\\') < 0
		switch string(key) {
		case "type":
			ok = p.Type == "" && (string(value) == string(Offer) || string(value) == string(Answer))
			p.Type = Type(value)
		case "to":
			ok = !to && plain && p.To.UnmarshalText(value) == nil
			to = true
		case "connection":
			ok = p.Connection == nil && plain && len(value) > 0 && len(value) <= MaxText
			p.Connection = value
		case "sdp":
			ok = p.SDP == nil && len(value) > 0 && len(value) <= MaxSDP
			p.SDP = value
		default:
			ok = false
		}
		switch {
		case !ok:
			return false
		case len(after) == 0:
			return to && p.Type != "" && p.Connection != nil && p.SDP != nil
		case after[0] != ',':
			return false
		}
		rest = after[1:]
	}
}

// quotedText reads a string of ASCII without other escapes than \r and \n, without its quotes.
func quotedText(b []byte) (text, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	b = b[1:]
	for i := 0; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			return b[:i], b[i+1:], true
		case c == '\\':
			if i++; i == len(b) || b[i] != 'r' && b[i] != 'n' {
				return nil, nil, false
			}
		case c < ' ' || c >= 0x7f:
			return nil, nil, false
		}
	}
	return nil, nil, false
}

// AppendFrom appends the message with its sender instead of its receiver, up to and with the quote
// before the SDP.
func (p *Passed) AppendFrom(b []byte, from wire.PeerID) []byte {
	b = append(b, `{"type":"`...)
	b = append(b, p.Type...)
	b = append(b, `","from":"`...)
	b = append(b, from.String()...)
	b = append(b, `","connection":"`...)
	b = append(b, p.Connection...)
	return append(b, `","sdp":"`...)
}
