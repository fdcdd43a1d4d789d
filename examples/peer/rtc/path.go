package rtc

import (
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Path is how the bytes of a connection go.
type Path struct {
	// Local and Remote are the types of the selected candidates: host, srflx, prflx or
	// relay (RFC 8445, section 5.1.1). A remote candidate of any type is prflx if its
	// first check came before signaling named it, and signaling did not until the
	// channel was open; the addresses then tell what the pair is.
	Local, Remote string
	// LocalAddress and RemoteAddress are the IP addresses of these candidates.
	LocalAddress, RemoteAddress string
	// Relay is the transport to the relay of the local candidate: udp, tcp or tls; "" if
	// it is none.
	Relay string
	// Took is the time from the beginning of the attempt until the channel was open.
	Took time.Duration
}

// Relayed reports whether a relay is on the path.
func (p *Path) Relayed() bool { return p.Local == "relay" || p.Remote == "relay" }

// maxSignaled bounds how many candidates of a peer are remembered.
const maxSignaled = 64

// signaled are the candidates that a peer has named: the type of each by its address. A
// check that comes before the candidate makes one of type prflx, which pion/ice then keeps.
type signaled map[netip.AddrPort]string

// note takes a candidate attribute (RFC 8839, section 5.1).
func (s signaled) note(attribute string) {
	f := strings.Fields(attribute)
	if len(f) < 8 || f[6] != "typ" || len(s) == maxSignaled {
		return
	}
	if a, ok := addrPort(f[4], f[5]); ok {
		s[a] = f[7]
	}
}

// typeOf returns what the candidate of an address is: as signaled, or else as it is found.
func (s signaled) typeOf(address string, port uint16, found string) string {
	if a, ok := addrPort(address, strconv.Itoa(int(port))); ok && found == "prflx" && s[a] != "" {
		return s[a]
	}
	return found
}

func addrPort(address, port string) (netip.AddrPort, bool) {
	ip, err := netip.ParseAddr(address)
	n, bad := strconv.ParseUint(port, 10, 16)
	return netip.AddrPortFrom(ip.Unmap(), uint16(n)), err == nil && bad == nil
}
