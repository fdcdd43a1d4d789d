package turnserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"

	"go.uber.org/zap"
)

// ErrClosed is returned by a Server's methods after Close.
var ErrClosed = errors.New("the TURN server is closed")

// The default relay ports: the dynamic range of RFC 8656, section 7.2.
const (
	DefaultRelayPortMin = 49152
	DefaultRelayPortMax = 65535
)

// Settings are the part of a Config that allocations are made with. SetSettings replaces them: new
// allocations and challenges are made with the new ones, older allocations go on as
// they were made.
type Settings struct {
	Realm                       string
	RelayAddress, RelayAddress6 netip.Addr
	RelayBind, RelayBind6       netip.Addr
	RelayPorts                  PortRange
	OwnAddresses                []netip.Addr
}

// Config is what a Server keeps for its whole life, and what it begins with.
type Config struct {
	// Realm is the REALM of the long-term credential mechanism. Default: "viewmesh".
	Realm string

	// RelayAddress is the public address that relayed transport addresses are
	// given out with. Without a valid one the server offers STUN only.
	RelayAddress netip.Addr

	// RelayAddress6 is a second, IPv6, relay address for clients that ask with
	// REQUESTED-ADDRESS-FAMILY when RelayAddress is IPv4. Default: none, and such
	// a request is answered 440.
	RelayAddress6 netip.Addr

	// RelayBind is the local address that relay sockets bind to. Default:
	// RelayAddress while that is an address of this host, so that peers see what they
	// were told, else the unspecified address of its family.
	RelayBind netip.Addr

	// RelayBind6 is RelayBind for RelayAddress6.
	RelayBind6 netip.Addr

	// RelayPorts is the range of relay ports. Default: 49152-65535.
	RelayPorts PortRange

	// OwnAddresses are further addresses of this host that must not be relayed to,
	// such as a public address that a router translates. The addresses of the
	// network interfaces are found without being listed.
	OwnAddresses []netip.Addr

	// MaxConns and MaxConnsPerSource hold where the policy's are zero.
	MaxConns, MaxConnsPerSource int

	// Policy is the first policy; SetPolicy replaces it.
	Policy Policy

	// OnUsage is told what an allocation's user has relayed since the last call:
	// payload bytes, up from the client to its peers, down from the peers to the
	// client. It is called every few seconds for users that relayed something and
	// once more before an allocation's last numbers are forgotten, from one
	// goroutine at a time. It must not block. Default: none.
	OnUsage func(user string, up, down int64)

	// Logger gets the server's log lines; they carry addresses only when
	// Policy.LogAddresses is set. Default: none are written.
	Logger *zap.Logger

	// ListenPacket opens relay sockets and the sockets of ListenUDP; address is
	// "ip:port". Tests use it to run the server on a simulated network. Default:
	// the operating system's, with the batched calls where there are any.
	ListenPacket func(ctx context.Context, network, address string) (net.PacketConn, error)
}

// PortRange is a range of ports, both ends included.
type PortRange struct{ Min, Max uint16 }

func (c *Config) settings() Settings {
	return Settings{c.Realm, c.RelayAddress, c.RelayAddress6, c.RelayBind, c.RelayBind6, c.RelayPorts, c.OwnAddresses}
}

// withDefaults checks c and returns it with every default filled in.
func (c Settings) withDefaults() (Settings, error) {
	if c.Realm == "" {
		c.Realm = "viewmesh"
	}
	if len(c.Realm) > maxTextAttr {
		return c, fmt.Errorf("realm is %d bytes long: shorten it to %d", len(c.Realm), maxTextAttr)
	}
	if c.RelayPorts == (PortRange{}) {
		c.RelayPorts = PortRange{DefaultRelayPortMin, DefaultRelayPortMax}
	}
	if c.RelayPorts.Min == 0 || c.RelayPorts.Max < c.RelayPorts.Min {
		return c, fmt.Errorf("relay ports %d-%d are not a range: give a lower and an upper port, from 1 to 65535",
			c.RelayPorts.Min, c.RelayPorts.Max)
	}
	c.RelayAddress, c.RelayAddress6 = c.RelayAddress.Unmap(), c.RelayAddress6.Unmap()
	if c.RelayAddress6.IsValid() && (!c.RelayAddress6.Is6() || !c.RelayAddress.Is4()) {
		return c, fmt.Errorf("second relay address %s: it must be IPv6, beside an IPv4 relay address", c.RelayAddress6)
	}
	var err error
	if c.RelayBind, err = relayBind(c.RelayAddress, c.RelayBind); err != nil {
		return c, err
	}
	if c.RelayBind6, err = relayBind(c.RelayAddress6, c.RelayBind6); err != nil {
		return c, err
	}
	return c, nil
}

// relayBind checks the address that relay sockets for public are to bind to; without
// one, relays.open finds it.
func relayBind(public, bind netip.Addr) (netip.Addr, error) {
	bind = bind.Unmap()
	switch {
	case !public.IsValid():
		return bind, nil
	case public.IsUnspecified() || public.IsMulticast():
		return bind, fmt.Errorf("relay address %s is not an address of a host: give the public one", public)
	case !bind.IsValid():
		return bind, nil
	case bind.Is4() != public.Is4():
		return bind, fmt.Errorf("relay bind address %s and relay address %s differ in family: give two of one family", bind, public)
	}
	return bind, nil
}
