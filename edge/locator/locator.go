// Package locator finds where viewers are: the network (ASN), the country and the region
// of an address, from a database file or from what a CDN in front says.
package locator

import (
	"net/http"
	"net/netip"
	"strconv"
	"strings"
)

// Place is where a viewer is, as far as it is known.
type Place struct {
	// ASN is the number of its network (RFC 6793), 0 if it is unknown.
	ASN uint32
	// Country is an ISO 3166-1 code of two capital letters, "" if it is unknown.
	Country string
	// Region is the part of the country, as the source names it (an ISO 3166-2 code without
	// the country, such as "BE", or a name); "" if it is unknown.
	Region string
}

// Area returns the country with the region, such as "DE-BE", or the country alone; "" if
// both are unknown.
func (p Place) Area() string {
	if p.Region == "" || p.Country == "" {
		return p.Country
	}
	return p.Country + "-" + p.Region
}

// Locator finds where the viewer of a request is; addr is its address, trusted proxies
// considered. What it does not know is left empty. It is safe for concurrent use and must
// not block.
type Locator interface {
	Locate(r *http.Request, addr netip.Addr) Place
}

// Chain asks several locators: each fact is that of the first that knows it. A region
// counts only with the country of the same locator.
type Chain []Locator

// Locate asks them.
func (c Chain) Locate(r *http.Request, addr netip.Addr) Place {
	var out Place
	for _, l := range c {
		p := l.Locate(r, addr)
		if out.ASN == 0 {
			out.ASN = p.ASN
		}
		switch {
		case out.Country == "":
			out.Country, out.Region = p.Country, p.Region
		case out.Region == "" && out.Country == p.Country:
			out.Region = p.Region
		}
	}
	return out
}

// maxRegion bounds the name of a region, in bytes.
const maxRegion = 32

// ParseASN reads "174" or "AS174"; 0 for anything else.
func ParseASN(s string) uint32 {
	s = strings.TrimSpace(s)
	if len(s) > 2 && strings.EqualFold(s[:2], "AS") {
		s = s[2:]
	}
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return uint32(n)
}

// ParseCountry reads a code of two letters, in either case; "" for anything else, and for
// the codes XX and T1 by which CDNs mean that they do not know.
func ParseCountry(s string) string {
	s = strings.ToUpper(strings.TrimSpace(s))
	if len(s) != 2 || s == "XX" || s[0] < 'A' || s[0] > 'Z' || s[1] < 'A' || s[1] > 'Z' {
		return ""
	}
	return s
}

// ParseRegion reads a code or a name; the country in front of a code, as in "DE-BE", is
// left away. "" for one that is too long or that cannot be printed.
func ParseRegion(country, s string) string {
	s = strings.TrimSpace(s)
	if country != "" && len(s) > 3 && s[2] == '-' && strings.EqualFold(s[:2], country) {
		s = s[3:]
	}
	if len(s) > maxRegion || strings.ContainsFunc(s, func(c rune) bool { return !strconv.IsPrint(c) }) {
		return ""
	}
	return s
}
