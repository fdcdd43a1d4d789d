package turn

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/caddyserver/caddy/v2"

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
