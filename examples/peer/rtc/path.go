package rtc

import (
	"time"

	"github.com/pion/webrtc/v3"
)

// Path is how the bytes of a connection go.
type Path struct {
	// Local and Remote are the types of the selected candidates: host, srflx, prflx or
	// relay (RFC 8445, section 5.1.1). Of a remote srflx that was seen before it was
	// signaled the type is prflx.
	Local, Remote string
	// Relay is the transport to the relay of the local candidate: udp, tcp or tls; "" if
	// it is none.
	Relay string
	// Took is the time from the beginning of the attempt until the channel was open.
	Took time.Duration
}

// Relayed reports whether a relay is on the path.
func (p *Path) Relayed() bool { return p.Local == "relay" || p.Remote == "relay" }

// path returns the path in use; its types are "" if that is not known.
func (c *Conn) path() Path {
	p := Path{Took: time.Since(c.begun)}
	sctp := c.pc.SCTP()
	if sctp == nil || sctp.Transport() == nil || sctp.Transport().ICETransport() == nil {
		return p
	}
	pair, err := sctp.Transport().ICETransport().GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return p
	}
	p.Local, p.Remote = pair.Local.Typ.String(), pair.Remote.Typ.String()
	if pair.Local.Typ != webrtc.ICECandidateTypeRelay {
		return p
	}
	for _, s := range c.pc.GetStats() {
		if l, ok := s.(webrtc.ICECandidateStats); ok && l.Type == webrtc.StatsTypeLocalCandidate && l.CandidateType == pair.Local.Typ &&
			l.IP == pair.Local.Address && l.Port == int32(pair.Local.Port) {
			p.Relay = l.RelayProtocol
		}
	}
	return p
}
