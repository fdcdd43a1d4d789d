package lab

import "fmt"

// Kind is what stands between a host and the core.
type Kind string

// The kinds. The words for NATs are those of RFC 4787: what a packet from inside is mapped
// to, and which packets from outside pass.
const (
	// Public: nothing, an IPv4 address of its own.
	Public Kind = "public"
	// PortPreserving: mapping independent of the endpoint as long as ports are free,
	// filtering by address and port. Most home routers.
	PortPreserving Kind = "port-preserving"
	// Symmetric: another port for each endpoint, filtering by address and port.
	Symmetric Kind = "symmetric"
	// FullCone: independent mapping and filtering.
	FullCone Kind = "full-cone"
	// Hairpin: FullCone, and a packet from inside to the router's own address comes back.
	Hairpin Kind = "hairpin"
	// CGNAT: PortPreserving behind a carrier's NAT, which is symmetric.
	CGNAT Kind = "cgnat"
	// Firewall: PortPreserving, and only TCP to the ports 80 and 443 gets out.
	Firewall Kind = "firewall"
	// IPv6Only: an IPv6 address of its own and no IPv4.
	IPv6Only Kind = "ipv6-only"
	// Dual: PortPreserving, and an IPv6 address of its own.
	Dual Kind = "dual"
)

// lan is the address of a home's router, and inside the network's first three numbers.
const (
	inside = "192.168.1."
	lan    = inside + "1"
)

// rules returns the nftables of a router between the interfaces lan and wan, whose first
// host is the one that a full cone leads to.
func rules(k Kind, address string) string {
	masquerade := "masquerade"
	if k == Symmetric {
		masquerade = "masquerade fully-random"
	}
	in, loop, out := "", "", ""
	switch k {
	case FullCone:
		in = "iifname wan meta l4proto udp dnat to " + inside + "10;"
	case Hairpin:
		in = "ip daddr " + address + " meta l4proto udp dnat to " + inside + "10;"
		loop = "iifname lan oifname lan snat to " + address + ";"
	case Firewall:
		out = "iifname lan tcp dport != { 80, 443 } drop; iifname lan meta l4proto != { tcp, icmp } drop;"
	}
	return fmt.Sprintf(`
table ip nat {
	chain in { type nat hook prerouting priority -100; %s }
	chain out { type nat hook postrouting priority 100; %s oifname wan %s; }
}
table ip filter {
	chain input { type filter hook input priority 0; iifname wan ct state new drop; }
	chain forward { type filter hook forward priority 0; %s ct status dnat accept; iifname wan ct state new drop; }
}`, in, loop, masquerade, out)
}
