package turnserver

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

// Defaults of Policy, used where a field is zero.
const (
	DefaultUserAllocations   = 64
	DefaultUnauthRate        = 300
	DefaultMaxLifetime       = 2 * time.Hour
	DefaultMaxConns          = 16384
	DefaultMaxConnsPerSource = 1024
)

// Policy is what may change while a Server runs, without rebinding a socket.
// A new policy holds for new allocations and new permissions at once, for
// existing allocations from their next refresh.
type Policy struct {
	// RelayEnabled offers TURN. When false the server answers STUN only: Allocate
	// is refused with 403, and so is the refresh of an older allocation.
	RelayEnabled bool

	// Secrets are the shared secrets that credentials are minted with; any of them
	// is good, so that they can be rotated. Required to relay.
	Secrets [][]byte

	// AllowPeers opens prefixes that are denied by default, such as a private
	// network.
	AllowPeers []netip.Prefix

	// DenyPeers closes prefixes; it wins over AllowPeers.
	DenyPeers []netip.Prefix

	// UserAllocations bounds the allocations of one user at a time. Default: 64
	// (ten neighbors over three transports and five offers of an announce fit);
	// negative: no bound.
	UserAllocations int

	// UserBandwidth bounds what one user relays, both directions together, in
	// payload bytes per second; what exceeds it is dropped. Default: no bound.
	UserBandwidth int64

	// UserBytes bounds what one user relays in all, both directions together, in
	// payload bytes. Default: no bound.
	UserBytes int64

	// TotalBandwidth bounds what the server relays, in payload bytes per second.
	// Default: no bound.
	TotalBandwidth int64

	// TotalBytes is the relay budget: once the server has relayed this many payload
	// bytes since it started, it refuses allocations and relays no more. Default: no
	// bound. Raise it over a SetPolicy to grant more.
	TotalBytes int64

	// UnauthRate bounds the answers to unauthenticated datagrams (401 and the like)
	// per second and source address (/64 for IPv6), with a burst of five times as
	// many. It keeps the server from being used for amplification. Default: 300, so
	// that a few forged kilobytes a second do not silence all who share an address;
	// negative: no bound.
	UnauthRate int

	// BindingRate is UnauthRate for the answers to Binding requests, which are hardly
	// larger than the requests. Default: four times UnauthRate; negative: no bound.
	BindingRate int

	// MaxConns bounds the open TCP and TLS connections. Default: 16384.
	MaxConns int

	// MaxConnsPerSource bounds the open TCP and TLS connections of one source address
	// (of one /64 for IPv6). Default: 1024, as many viewers may share one address
	// behind a carrier's NAT.
	MaxConnsPerSource int

	// Audit writes one log line for each allocation when it ends: user, transport,
	// relayed port, payload bytes, duration, and with LogAddresses the client.
	Audit bool

	// MaxLifetime bounds the lifetime of an allocation between refreshes, as a client may
	// ask for one. Default: 2 hours; at least 10 minutes.
	MaxLifetime time.Duration

	// LogAddresses lets log lines carry client addresses. Default: they do not.
	LogAddresses bool
}

// Validate says what is wrong with p.
func (p Policy) Validate() error {
	if p.RelayEnabled && len(p.Secrets) == 0 {
		return errors.New("relay is enabled without a shared secret: give one, or disable the relay")
	}
	for i, s := range p.Secrets {
		if len(s) == 0 {
			return fmt.Errorf("shared secret %d is empty: give it a value, or leave it out", i)
		}
	}
	for _, list := range [][]netip.Prefix{p.AllowPeers, p.DenyPeers} {
		for _, prefix := range list {
			if !prefix.IsValid() {
				return errors.New("a peer prefix is not valid: write it as address/bits")
			}
		}
	}
	if p.MaxLifetime != 0 && p.MaxLifetime < defaultLifetime {
		return fmt.Errorf("maximum lifetime %s is below %s, which RFC 8656 grants to all: give more, or 0 for %s",
			p.MaxLifetime, defaultLifetime, DefaultMaxLifetime)
	}
	for name, v := range map[string]int64{
		"user bandwidth": p.UserBandwidth, "user bytes": p.UserBytes,
		"total bandwidth": p.TotalBandwidth, "total bytes": p.TotalBytes,
		"connections": int64(p.MaxConns), "connections per source": int64(p.MaxConnsPerSource),
	} {
		if v < 0 {
			return fmt.Errorf("%s is %d: give a positive number, or 0 for no bound", name, v)
		}
	}
	return nil
}

// clone copies p so that the caller's slices can change, and fills in defaults.
func (p Policy) clone() Policy {
	secrets := make([][]byte, len(p.Secrets))
	for i, s := range p.Secrets {
		secrets[i] = slices.Clone(s)
	}
	p.Secrets = secrets
	p.AllowPeers = slices.Clone(p.AllowPeers)
	p.DenyPeers = slices.Clone(p.DenyPeers)
	if p.UserAllocations == 0 {
		p.UserAllocations = DefaultUserAllocations
	}
	if p.MaxLifetime == 0 {
		p.MaxLifetime = DefaultMaxLifetime
	}
	if p.UnauthRate == 0 {
		p.UnauthRate = DefaultUnauthRate
	}
	if p.BindingRate == 0 {
		p.BindingRate = 4 * p.UnauthRate
	}
	return p
}

// verdict is what the relay policy says about a peer address.
type verdict uint8

const (
	peerAllowed verdict = iota
	peerFamily          // not of the allocation's address family: 443
	peerDenied          // 403
)

// checkPeer decides whether an allocation on relay may have a permission for
// peer. own tells the addresses of this host.
//
// IPv4-mapped and IPv4-compatible addresses are never relayed to: they are IPv4
// addresses in disguise, and RFC 8656 wants the peer's family to be the
// allocation's. 6to4, Teredo and NAT64 addresses must be allowed both as they
// are and as the IPv4 address within.
//
// The relay address itself may be given a permission even though it is the
// host's own, and private on an intranet, as two viewers that both need the relay meet
// there: the data plane delivers such datagrams to other allocations only (relay.go),
// unless AllowPeers opens the address for any port.
func (p *Policy) checkPeer(peer, relay netip.Addr, own func(netip.Addr) bool) verdict {
	inner, form := unembed(peer)
	if form == formDisguised {
		peer = inner
		if p.checkPlain(inner, relay, own) != peerAllowed {
			return peerDenied
		}
		return peerFamily
	}
	if v := p.checkPlain(peer, relay, own); v != peerAllowed {
		return v
	}
	if form == formTranslated && p.checkPlain(inner, netip.Addr{}, own) != peerAllowed {
		return peerDenied
	}
	if peer.Is4() != relay.Is4() {
		return peerFamily
	}
	return peerAllowed
}

// checkPlain is checkPeer for one address, without regard to what is within it.
func (p *Policy) checkPlain(peer, relay netip.Addr, own func(netip.Addr) bool) verdict {
	switch {
	case contains(p.DenyPeers, peer):
		return peerDenied
	case contains(p.AllowPeers, peer):
		return peerAllowed
	case peer == relay && !peer.IsLoopback():
		return peerAllowed
	case isSpecial(peer), own(peer):
		return peerDenied
	}
	return peerAllowed
}

// opens reports whether AllowPeers names addr and DenyPeers does not.
func (p *Policy) opens(addr netip.Addr) bool {
	return contains(p.AllowPeers, addr) && !contains(p.DenyPeers, addr)
}

func contains(prefixes []netip.Prefix, addr netip.Addr) bool {
	for _, prefix := range prefixes {
		if prefix.Contains(addr) {
			return true
		}
	}
	return false
}
