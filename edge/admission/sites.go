package admission

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Site is a set of networks that count as one place, such as the offices of a company:
// its viewers share a household, and name each other their private addresses.
type Site struct {
	Name     string
	Networks []netip.Prefix // as the edge sees its viewers; of IPv6 a /64 or wider
}

// ParseNetwork reads a network of a Site: a prefix, or one address.
func ParseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if a, single := netip.ParseAddr(s); single == nil && a.Zone() == "" {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	if err != nil || p.Addr().Is4In6() || p.Addr().Is6() && p.Bits() > 64 {
		return p, fmt.Errorf("network %q: write one such as 203.0.113.0/24 or 2001:db8:1::/48, of IPv6 a /64 or wider", s)
	}
	return p.Masked(), nil
}

// Sites are those of a policy.
type Sites []Site

// validate returns what is wrong with them.
func (all Sites) validate() error {
	for i, s := range all {
		switch {
		case s.Name == "" || strings.ContainsAny(s.Name, " \t\n"):
			return fmt.Errorf("site %q: write a name without spaces", s.Name)
		case len(s.Networks) == 0:
			return fmt.Errorf("site %s: write its networks, such as 203.0.113.0/24", s.Name)
		case slices.ContainsFunc(all[:i], func(o Site) bool { return o.Name == s.Name }):
			return fmt.Errorf("site %s is there twice: write all its networks together", s.Name)
		}
	}
	return nil
}

// household returns what viewers of one home share: a name for the first site that their
// address is in, or else their public address (a /64 for IPv6); "" if that is unknown.
func (all Sites) household(source netip.Addr) string {
	if !source.IsValid() {
		return ""
	}
	for i := range all {
		if slices.ContainsFunc(all[i].Networks, func(n netip.Prefix) bool { return n.Contains(source) }) {
			return "site " + all[i].Name
		}
	}
	return source.String()
}
