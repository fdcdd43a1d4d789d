package rtc

import "time"

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
