package turn

import (
	"net/netip"

	"github.com/viewmesh/viewmesh/turnserver"
)

// Bound is where a running server listens.
type Bound struct {
	Network string
	Addr    netip.AddrPort
}

// Running returns the servers of the pool and where they listen.
func Running() map[*turnserver.Server][]Bound {
	out := map[*turnserver.Server][]Bound{}
	servers.Range(func(_, v any) bool {
		s := v.(*server)
		out[s.Server] = nil
		s.listeners.Range(func(_, v any) bool {
			b := v.(*bound)
			out[s.Server] = append(out[s.Server], Bound{b.network, b.addr})
			return true
		})
		return true
	})
	return out
}
