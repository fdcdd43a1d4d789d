package admission

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/gaissmai/bart"
)

// The values of Site.Mode.
const (
	SiteOn          = "on"
	SiteReceiveOnly = "receive_only"
	SiteOff         = "off"
)

// Site is a set of networks that count as one place, such as the offices of a company: its
// viewers share a household, and name each other their private addresses. Its bytes stay
// within it, unless WAN is set.
type Site struct {
	Name     string
	Networks []netip.Prefix // as the edge sees its viewers; of IPv6 a /64 or wider
	// Mode says how its viewers take part: SiteOn; SiteReceiveOnly, who give nothing; or
	// SiteOff, who have no session. Default: SiteOn.
	Mode string
	// WAN lets viewers exchange with those outside of the site, too, and use the relay.
	WAN bool
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

// Sites are those of a policy. Of two networks that contain an address the narrower counts.
type Sites []Site

// ReadSites reads sites from CSV (RFC 4180), a line each: name, networks with spaces between,
// mode, and "wan" or nothing. What is empty at the end may be left away; a first line that
// begins with "name", and lines that begin with #, are skipped.
func ReadSites(r io.Reader) (Sites, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord, c.Comment, c.TrimLeadingSpace = -1, '#', true
	var out Sites
	for {
		fields, err := c.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read sites: %w", err)
		}
		line, _ := c.FieldPos(0)
		for i := range fields {
			fields[i] = strings.TrimSpace(fields[i])
		}
		if out == nil && strings.EqualFold(fields[0], "name") {
			continue
		}
		fields = append(fields, "", "", "")[:max(4, len(fields))]
		s := Site{Name: fields[0], Mode: fields[2], WAN: strings.EqualFold(fields[3], "wan")}
		if len(fields) > 4 || fields[3] != "" && !s.WAN {
			return nil, fmt.Errorf("read sites: line %d: write name,networks,mode,wan, where wan may be left away", line)
		}
		for _, n := range strings.Fields(fields[1]) {
			network, err := ParseNetwork(n)
			if err != nil {
				return nil, fmt.Errorf("read sites: line %d: %w", line, err)
			}
			s.Networks = append(s.Networks, network)
		}
		out = append(out, s)
	}
}

// maxSite bounds the name of a site, in bytes.
const maxSite = 64

// isSiteName reports whether a name may be a site's.
func isSiteName(s string) bool {
	return s != "" && len(s) <= maxSite && !strings.ContainsFunc(s, func(c rune) bool { return c <= ' ' || c == 0x7f })
}

// validate returns what is wrong with them.
func (all Sites) validate(ids bool) error {
	names := map[string]bool{}
	owner := map[netip.Prefix]string{}
	for _, s := range all {
		switch {
		case !isSiteName(s.Name):
			return fmt.Errorf("site %q: write a name of at most %d bytes without spaces", s.Name, maxSite)
		case len(s.Networks) == 0 && !ids:
			return fmt.Errorf("site %s: write its networks, such as 203.0.113.0/24, or where viewers' sites are named (site_id)", s.Name)
		case names[s.Name]:
			return fmt.Errorf("site %s is there twice: write all its networks together", s.Name)
		case !slices.Contains([]string{"", SiteOn, SiteReceiveOnly, SiteOff}, s.Mode):
			return fmt.Errorf("site %s: mode %q: write on, receive_only or off", s.Name, s.Mode)
		}
		names[s.Name] = true
		for _, n := range s.Networks {
			if o := owner[n]; o != "" {
				return fmt.Errorf("network %s is of two sites, %s and %s", n, o, s.Name)
			}
			owner[n] = s.Name
		}
	}
	return nil
}

// siteTable finds sites.
type siteTable struct {
	byNetwork bart.Table[*Site]
	byName    map[string]*Site
}

func newSiteTable(all Sites) *siteTable {
	t := &siteTable{byName: make(map[string]*Site, len(all))}
	for i := range all {
		t.byName[all[i].Name] = &all[i]
		for _, n := range all[i].Networks {
			t.byNetwork.Insert(n, &all[i])
		}
	}
	return t
}

// SiteIDs says where viewers' sites are named, beside their networks.
type SiteIDs struct {
	// Claim takes the claim siteId of the viewer token.
	Claim bool
	// Page takes what the page says. It brings nobody into a site that has networks.
	Page bool
	// Request returns what a request says, such as a header that a trusted proxy sets; nil
	// for nothing.
	Request func(*http.Request) string
}

// siteID is the site that a session was opened for.
type siteID struct {
	Name string `json:"n,omitempty"`
	Page bool   `json:"p,omitempty"` // as the page says
}

// siteOf returns the site of a viewer, nil for none: what the viewer token says goes before
// what the request says, that before the network of the address, and that before what the
// page says. A name that is not among the sites is a site of its own.
func siteOf(p *Policy, on *Connection, id siteID) *Site {
	named := func(name string) *Site {
		if s := p.sites.byName[name]; s != nil || !isSiteName(name) {
			return s
		}
		return &Site{Name: name}
	}
	if p.SiteIDs.Claim && !id.Page && id.Name != "" {
		return named(id.Name)
	}
	if s := named(on.siteName); s != nil {
		return s
	}
	if s, ok := p.sites.byNetwork.Lookup(on.source); ok && on.source.IsValid() {
		return s
	}
	if s := named(id.Name); p.SiteIDs.Page && id.Page && s != nil && len(s.Networks) == 0 {
		return s
	}
	return nil
}

// household returns what viewers of one home share: a name for their site, or else their
// public address (a /64 for IPv6); "" if that is unknown.
func household(s *Site, source netip.Addr) string {
	switch {
	case s != nil:
		return "site " + s.Name
	case !source.IsValid():
		return ""
	}
	return source.String()
}
