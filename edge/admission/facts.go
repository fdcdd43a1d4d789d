package admission

import (
	"strconv"

	"github.com/viewmesh/viewmesh/meshcore/tracker"
)

// Facts returns the facts of a member for the tracker.
func Facts(c *Control, m *Member) tracker.Facts {
	e, _ := c.standing(m, c.Now())
	p, _ := c.PolicyOf(m)
	f := m.facts(p)
	f.Scope = join(group(c.Catalog.Scopes(m.Presentation), e.scope), m.within(p))
	f.ReceiveOnly, f.Device, f.Connection = m.ReceiveOnly, m.device.Kind, m.device.Connection
	return f
}

// GuestFacts returns the facts of a guest for the choice of its peers.
func GuestFacts(g *Guest, p *Policy) *tracker.Facts {
	f := g.facts(p)
	return &f
}

// facts returns what a connection says of where its peer is.
func (c *Connection) facts(p *Policy) tracker.Facts {
	return tracker.Facts{
		Region: c.place.Area(), Country: c.place.Country, ASN: c.place.ASN, Prefix: c.prefix, Household: p.Sites.household(c.source), MaxTold: p.MaxTold,
	}
}

// within names those whom the policy lets the peer of a connection meet, by where they
// are; "" for everybody. Where that is not known, they are those of its own address.
func (c *Connection) within(p *Policy) string {
	unknown := p.Sites.household(c.source)
	switch {
	case p.SameASNOnly && c.place.ASN == 0, p.SameCountryOnly && c.place.Country == "":
		return join("in", unknown)
	case p.SameASNOnly && p.SameCountryOnly:
		return "in AS" + strconv.FormatUint(uint64(c.place.ASN), 10) + " " + c.place.Country
	case p.SameASNOnly:
		return "in AS" + strconv.FormatUint(uint64(c.place.ASN), 10)
	case p.SameCountryOnly:
		return "in " + c.place.Country
	}
	return ""
}

// join puts a space between two words that are there.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}
