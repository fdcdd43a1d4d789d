package turnserver

import (
	"maps"
	"net/netip"
	"sync"
	"time"
)

// How long a permission and a channel last: RFC 8656, sections 9 and 12.
const (
	permissionLifetime = 5 * time.Minute
	channelLifetime    = 10 * time.Minute
)

// maxPeers bounds the permissions, and the channels, of one allocation. A neighbor
// takes a permission for each address of its candidates.
const maxPeers = 256

// permissions are the peers that an allocation relays to and from: RFC 8656, sections 9
// and 12. Times are nanoseconds of the server's clock.
type permissions struct {
	mu       sync.RWMutex
	until    map[netip.Addr]int64
	channels map[uint16]*channel
	bound    map[netip.AddrPort]*channel // the same ones, by peer
}

type channel struct {
	number  uint16
	peer    netip.AddrPort
	expires int64
}

// allow adds or renews permissions for peers, all or none. It returns 0 or the error
// code to answer with.
func (ps *permissions) allow(peers []netip.AddrPort, now int64) (code int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	maps.DeleteFunc(ps.until, func(_ netip.Addr, until int64) bool { return until <= now })
	n := len(ps.until)
	for _, peer := range peers {
		if ps.until[peer.Addr()] == 0 {
			n++ // an address named twice counts twice, which does no harm
		}
	}
	if n > maxPeers {
		return codeInsufficient
	}
	for _, peer := range peers {
		ps.until[peer.Addr()] = now + int64(permissionLifetime)
	}
	return 0
}

// bind binds a channel, or renews the binding, and the permission with it. A channel
// keeps its peer and a peer its channel until the binding expires: RFC 8656, section
// 12.2. It returns 0 or the error code to answer with.
func (ps *permissions) bind(number uint16, peer netip.AddrPort, now int64) (code int) {
	if code := ps.allow([]netip.AddrPort{peer}, now); code != 0 {
		return code
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	maps.DeleteFunc(ps.channels, func(_ uint16, c *channel) bool { return c.expires <= now })
	maps.DeleteFunc(ps.bound, func(_ netip.AddrPort, c *channel) bool { return c.expires <= now })
	c := ps.channels[number]
	switch {
	case c != ps.bound[peer]:
		return codeBadRequest
	case c != nil:
		c.expires = now + int64(channelLifetime)
		return 0
	case len(ps.channels) == maxPeers:
		return codeInsufficient
	}
	c = &channel{number, peer, now + int64(channelLifetime)}
	ps.channels[number], ps.bound[peer] = c, c
	return 0
}

// revoke takes back the permissions and channels of the peers that are denied.
func (ps *permissions) revoke(denied func(netip.Addr) bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	maps.DeleteFunc(ps.until, func(peer netip.Addr, _ int64) bool { return denied(peer) })
	maps.DeleteFunc(ps.channels, func(_ uint16, c *channel) bool { return denied(c.peer.Addr()) })
	maps.DeleteFunc(ps.bound, func(peer netip.AddrPort, _ *channel) bool { return denied(peer.Addr()) })
}

// permitted reports whether datagrams may pass to and from peer.
func (ps *permissions) permitted(peer netip.Addr, now int64) bool {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	return ps.until[peer] > now
}

// peerOf returns the peer that a channel is bound to.
func (ps *permissions) peerOf(number uint16, now int64) (netip.AddrPort, bool) {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	c := ps.channels[number]
	if c == nil || c.expires <= now {
		return netip.AddrPort{}, false
	}
	return c.peer, true
}

// channelOf returns the channel that peer is bound to, or 0.
func (ps *permissions) channelOf(peer netip.AddrPort, now int64) uint16 {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	if c := ps.bound[peer]; c != nil && c.expires > now {
		return c.number
	}
	return 0
}
