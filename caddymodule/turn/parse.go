package turn

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/turnserver"
)

// ParseListen reads "udp/HOST:PORT"; udp may be left out.
func ParseListen(s string) (network, hostport string, err error) {
	network, host, port, err := caddy.SplitNetworkAddress(s)
	if err != nil {
		return "", "", fmt.Errorf("listen address %q: %w", s, err)
	}
	switch network {
	case "":
		network = "udp"
	case "udp", "tcp", "tls":
	default:
		return "", "", fmt.Errorf("listen address %q: the network must be udp, tcp or tls", s)
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || (n == 0 && port != "0") {
		return "", "", fmt.Errorf("listen address %q: give one port, from 0 to 65535", s)
	}
	return network, net.JoinHostPort(host, port), nil
}

// parsePorts reads "MIN-MAX"; empty is the server's default.
func parsePorts(s string) (r turnserver.PortRange, err error) {
	if s == "" {
		return r, nil
	}
	lo, hi, _ := strings.Cut(s, "-")
	a, err1 := strconv.ParseUint(lo, 10, 16)
	b, err2 := strconv.ParseUint(hi, 10, 16)
	if err1 != nil || err2 != nil || a == 0 || b < a {
		return r, fmt.Errorf("turn relay_ports %q: write MIN-MAX, from 1 to 65535", s)
	}
	return turnserver.PortRange{Min: uint16(a), Max: uint16(b)}, nil
}

// parsePrefixes reads prefixes and single addresses.
func parsePrefixes(option string, list []string) (out []netip.Prefix, err error) {
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("turn %s %q: write an IP address or ADDRESS/BITS", option, s)
		}
		out = append(out, p)
	}
	return out, nil
}

// networks are the ways that a listener can be reached by.
var networks = []string{"udp", "tcp", "tls"}

// advertised is what viewers are told of the listeners of a network.
type advertised struct {
	host string
	port string // empty for the listener's
}

// parseAdvertise reads "[NETWORK/]HOST[:PORT]".
func parseAdvertise(s string) (network string, a advertised, err error) {
	rest := s
	if n, r, ok := strings.Cut(s, "/"); ok {
		network, rest = n, r
	}
	a.host = strings.Trim(rest, "[]")
	if h, p, err := net.SplitHostPort(rest); err == nil {
		a.host, a.port = h, p
	}
	port, perr := strconv.ParseUint(a.port, 10, 16)
	switch {
	case network != "" && !slices.Contains(networks, network):
		return network, a, fmt.Errorf("turn advertise %q: the network must be udp, tcp or tls", s)
	case a.host == "" || strings.ContainsAny(a.host, "/ ?") || strings.Contains(a.host, ":") && net.ParseIP(a.host) == nil:
		return network, a, fmt.Errorf("turn advertise %q: give a host name or an IP address", s)
	case a.port != "" && (perr != nil || port == 0 || network == ""):
		return network, a, fmt.Errorf("turn advertise %q: give a port from 1 to 65535, and with it the network, such as tls/HOST:443", s)
	}
	return network, a, nil
}

// advertisedBy returns what each network is advertised as.
func advertisedBy(list []string) (map[string]advertised, error) {
	out := map[string]advertised{}
	for _, s := range list {
		network, a, err := parseAdvertise(s)
		if err != nil {
			return nil, err
		}
		if _, twice := out[network]; twice {
			return nil, fmt.Errorf("turn advertise %q: that network is advertised already", s)
		}
		out[network] = a
	}
	return out, nil
}

// ValidateICEServer reports what is wrong with a server of another provider.
func ValidateICEServer(s signal.ICEServer) error {
	for _, url := range s.URLs {
		scheme, host, _ := strings.Cut(url, ":")
		switch {
		case host == "" || strings.HasPrefix(host, "//") || !slices.Contains([]string{"stun", "stuns", "turn", "turns"}, scheme):
			return fmt.Errorf("ice_servers %q: write stun:HOST, turn:HOST or turns:HOST, with :PORT and ?transport=udp or tcp where needed", url)
		case strings.HasPrefix(scheme, "turn") && (s.Username == "" || s.Credential == ""):
			return fmt.Errorf("ice_servers %q: a TURN server needs username and credential", url)
		}
	}
	return nil
}
