package admission

import "github.com/viewmesh/viewmesh/meshcore/tracker"

// Facts returns the facts of a member for the tracker.
func Facts(c *Control, m *Member) tracker.Facts {
	e, _ := c.standing(m, c.Now())
	p, _ := c.PolicyOf(m)
	f := m.facts(p, &m.stands)
	f.Scope = join(group(c.Catalog.Scopes(m.Presentation), e.scope), m.stands.within)
	f.ReceiveOnly, f.Device, f.Connection = m.ReceiveOnly || m.stands.part == takes, m.device.Kind, m.device.Connection
	if f.MinViewers = p.MinViewers; m.stands.part == measured {
		f.Alone, f.Scope = true, join(f.Scope, "control") // whom nobody meets is not drawn for others
	}
	return f
}

// GuestFacts returns the facts of a guest for the choice of its peers.
func GuestFacts(g *Guest, p *Policy) *tracker.Facts {
	s := stand(p, &Ramps{}, g.viewing())
	f := g.facts(p, &s)
	return &f
}

// facts returns what a connection says of where its peer is.
func (c *Connection) facts(p *Policy, s *standing) tracker.Facts {
	return tracker.Facts{
		Region: c.place.Area(), Country: c.place.Country, ASN: c.place.ASN, Prefix: c.prefix, Household: s.household, MaxTold: p.MaxTold,
	}
}

// join puts a space between two words that are there.
func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + " " + b
}
