package admission

import (
	"errors"
	"strconv"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// part is how a viewer takes part in the mesh.
type part uint8

const (
	gives    part = iota // takes from others, and gives to them
	takes                // gives nothing
	measured             // of the control group: meets nobody, and reports
	outside              // has no session
)

// standing is where a viewer belongs under a policy.
type standing struct {
	part      part
	household string
	// within names those whom it may meet, by where they are; "" for everybody.
	within string
	// confined is set where its bytes must not leave its site.
	confined bool
	site     string // its name, "" for none
}

// viewing is who watches what.
type viewing struct {
	on           *Connection
	device       device
	site         siteID
	account      Viewer
	presentation string // the path of its manifest, "" if that is unknown
}

// stand returns where a viewer belongs.
func stand(p *Policy, ramps *Ramps, v viewing) standing {
	site := siteOf(p, v.on, v.site)
	s := standing{household: household(site, v.on.source)}
	s.part = partOf(p, ramps, v, site)
	if site != nil {
		s.site, s.confined = site.Name, !site.WAN
	}
	switch at := &v.on.place; {
	case s.confined:
		s.within = s.household
	case p.SameASNOnly && at.ASN == 0, p.SameCountryOnly && at.Country == "":
		s.within = join("in", s.household)
	default:
		if p.SameASNOnly {
			s.within = "in AS" + strconv.FormatUint(uint64(at.ASN), 10)
		}
		if p.SameCountryOnly {
			s.within = join(s.within, "in "+at.Country)
		}
	}
	return s
}

// partOf returns how a viewer takes part: its site and the first rule about it say so, and of
// those who are in, the ramp.
func partOf(p *Policy, ramps *Ramps, v viewing, site *Site) part {
	out, mute := false, false
	if site != nil {
		out, mute = site.Mode == SiteOff, site.Mode == SiteReceiveOnly
	}
	for i := range p.Rules {
		if r := &p.Rules[i]; r.about(v.on, v.device, site, v.presentation) {
			out, mute = out || r.Then == ThenOff, mute || r.Then == ThenReceiveOnly
			break
		}
	}
	switch {
	case out:
		return outside
	case p.Monitor || draw(v.on, v.account) >= ramps.share(p, v.on.host):
		return measured
	case mute:
		return takes
	}
	return gives
}

// ErrOutside refuses a session to a viewer whom the policy keeps out.
var ErrOutside = errors.New("this viewer takes no part here; play from the origin")

// anew has a peer open another session, because it belongs elsewhere now.
func anew() *signal.Message { return &signal.Message{Type: signal.Reconnect, AfterMS: 1} }

// withoutRelay leaves the STUN servers of some.
func withoutRelay(servers []signal.ICEServer) (out []signal.ICEServer) {
	for _, s := range servers {
		var urls []string
		for _, u := range s.URLs {
			if strings.HasPrefix(u, "stun") {
				urls = append(urls, u)
			}
		}
		if len(urls) > 0 {
			out = append(out, signal.ICEServer{URLs: urls})
		}
	}
	return out
}
