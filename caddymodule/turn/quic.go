package turn

import (
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/caddymodule/option"
)

func init() { caddy.RegisterModule(&PacketConnWrapper{}) }

// PacketConnWrapper serves STUN and TURN over UDP on the ports of HTTP/3, so that a
// network that lets HTTP/3 through lets the relay through. It needs turn in the app
// mesh. Datagrams are told apart by their first byte (RFC 9443); what may be
// ChannelData or QUIC belongs to TURN where its sender has an allocation there.
type PacketConnWrapper struct{ relay *Relay }

// CaddyModule says what this module is.
func (*PacketConnWrapper) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "caddy.packetconns.mesh_turn", New: func() caddy.Module { return new(PacketConnWrapper) }}
}

// Provision finds the relay.
func (w *PacketConnWrapper) Provision(ctx caddy.Context) (err error) {
	w.relay, err = relayOf(ctx, "the packet conn wrapper mesh_turn")
	return err
}

// UnmarshalCaddyfile reads mesh_turn, which has no options.
func (w *PacketConnWrapper) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Parse(d, "mesh_turn", nil)
}

// WrapPacketConn serves what is for TURN of the datagrams that conn receives. Caddy
// keeps the result over reloads for as long as a config has HTTP/3 at that address.
func (w *PacketConnWrapper) WrapPacketConn(conn net.PacketConn) net.PacketConn {
	s := w.relay.server
	socket := conn
	for { // what QUIC can make the most of is the socket itself
		below, ok := socket.(interface{ Unwrap() net.PacketConn })
		if !ok {
			break
		}
		socket = below.Unwrap()
	}
	shared, err := s.SharePacketConn(socket)
	if err != nil {
		w.relay.logger.Error("TURN does not share the port of HTTP/3: " + err.Error())
		return conn
	}
	s.sharedUDP.Store(portOf(conn.LocalAddr()), true)
	return shared
}

// BesideHTTP3 returns an error where a udp listener has a port of HTTP/3: their sockets
// would share it without a word, and each lose datagrams to the other. All apps are
// provisioned when it is called.
func (r *Relay) BesideHTTP3() error {
	http := httpApp(r.ctx)
	if http == nil || r.server == nil {
		return nil
	}
	for _, b := range r.bound {
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

var (
	_ caddy.Module            = (*PacketConnWrapper)(nil)
	_ caddy.Provisioner       = (*PacketConnWrapper)(nil)
	_ caddy.PacketConnWrapper = (*PacketConnWrapper)(nil)
	_ caddyfile.Unmarshaler   = (*PacketConnWrapper)(nil)
)
