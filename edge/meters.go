package edge

import (
	"strconv"

	"github.com/hashicorp/golang-lru/v2"

	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/insight"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/meshcore/wire"
)

// maxDevices is how many session requests are remembered until their peers signal, and come
// back. What is forgotten counts as unknown.
const maxDevices = 1 << 16

// facts knows what is known of members.
type facts struct {
	control *admission.Control
	// devices are what session requests said, by peer.
	devices *lru.Cache[wire.PeerID, signal.Device]
}

func newFacts(control *admission.Control) *facts {
	d, _ := lru.New[wire.PeerID, signal.Device](maxDevices) // an error is for sizes below 1
	return &facts{control, d}
}

// of returns what is known of a member.
func (k *facts) of(m *admission.Member) insight.Facts {
	device, _ := k.devices.Get(m.Peer)
	f := insight.Facts{
		ID: m.Peer.String(), Presentation: m.Presentation.Name(), Viewer: m.Peer.String(),
		Device: device.Kind, Connection: device.Connection, Player: device.Player, Label: device.Label,
	}
	if account, known := m.Account(); known {
		f.Viewer = string(account[:])
	}
	of := admission.Facts(k.control, m)
	f.Country = of.Country
	if of.ASN != 0 {
		f.ASN = "AS" + strconv.FormatUint(uint64(of.ASN), 10)
	}
	f.Site = m.Site()
	return f
}

// sampleEgress brings the meters up to what this edge has sent of each presentation.
func sampleEgress(listed *catalog.Catalog) func(*insight.Meters) {
	return func(m *insight.Meters) {
		for _, p := range listed.All() {
			m.Egress(p.Name(), p.Egress())
		}
	}
}
