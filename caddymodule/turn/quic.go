package turn

import (
	"net"

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

var (
	_ caddy.Module            = (*PacketConnWrapper)(nil)
	_ caddy.Provisioner       = (*PacketConnWrapper)(nil)
	_ caddy.PacketConnWrapper = (*PacketConnWrapper)(nil)
	_ caddyfile.Unmarshaler   = (*PacketConnWrapper)(nil)
)
