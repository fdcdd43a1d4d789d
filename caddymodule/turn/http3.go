package turn

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

// besideHTTP3 returns an error where a udp listener has a port of HTTP/3: their sockets
// would share it without a word, and each lose datagrams to the other.
func besideHTTP3(http *caddyhttp.App, all []*bound) error {
	for _, b := range all {
		for _, srv := range http.Servers {
			if b.network != "udp" || len(srv.TLSConnPolicies) == 0 || !slices.Contains(srv.Protocols, "h3") {
				continue
			}
			for _, l := range srv.Listen {
				na, err := caddy.ParseNetworkAddress(l)
				if port := uint(b.addr.Port()); err != nil || na.IsUnixNetwork() || port < na.StartPort || port > na.EndPort {
					continue
				}
				host, err := netip.ParseAddr(na.Host)
				if at := b.addr.Addr(); err != nil || host.IsUnspecified() || at.IsUnspecified() || host.Unmap() == at.Unmap() {
					return fmt.Errorf("turn listens on udp/%s, where HTTP/3 does: leave that out, and write packet_conn_wrappers { mesh_turn } "+
						"in the global option servers, which serves both", b.addr)
				}
			}
		}
	}
	return nil
}
