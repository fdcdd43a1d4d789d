package turnserver

import (
	"net/netip"
	"slices"
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
// and 12. Most have a few, so that lists take less memory than maps, and no more time.
// Times are nanoseconds of the server's clock.
type permissions struct {
	mu       sync.RWMutex
	allowed  []permission
	channels []channel
}

type permission struct {
	peer    netip.Addr
	expires int64
}

type channel struct {
	number  uint16
	peer    netip.AddrPort
	expires int64
}

// find returns the permission for peer, or nil. mu is held.
func (ps *permissions) find(peer netip.Addr) *permission {
	for i := range ps.allowed {
		if ps.allowed[i].peer == peer {
			return &ps.allowed[i]
		}
	}
	return nil
}

// numbered and to return the channel with a number, or to a peer, or nil. mu is held.
func (ps *permissions) numbered(number uint16) *channel {
	for i := range ps.channels {
		if ps.channels[i].number == number {
			return &ps.channels[i]
		}
	}
	return nil
}

func (ps *permissions) to(peer netip.AddrPort) *channel {
	for i := range ps.channels {
		if ps.channels[i].peer == peer {
			return &ps.channels[i]
		}
	}
	return nil
}

// allow adds or renews permissions for peers, all or none. It returns 0 or the error
// code to answer with.
func (ps *permissions) allow(peers []netip.AddrPort, now int64) (code int) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.allowed = slices.DeleteFunc(ps.allowed, func(p permission) bool { return p.expires <= now })
	n := len(ps.allowed)
	for _, peer := range peers {
		if ps.find(peer.Addr()) == nil {
			n++ // an address named twice counts twice, which does no harm
		}
	}
	if n > maxPeers {
		return codeInsufficient
	}
	for _, peer := range peers {
		p := ps.find(peer.Addr())
		if p == nil {
			ps.allowed = append(ps.allowed, permission{peer: peer.Addr()})
			p = &ps.allowed[len(ps.allowed)-1]
		}
		p.expires = now + int64(permissionLifetime)
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
	ps.channels = slices.DeleteFunc(ps.channels, func(c channel) bool { return c.expires <= now })
	c := ps.numbered(number)
	switch {
	case c != ps.to(peer):
		return codeBadRequest
	case c != nil:
		c.expires = now + int64(channelLifetime)
		return 0
	case len(ps.channels) == maxPeers:
		return codeInsufficient
	}
	ps.channels = append(ps.channels, channel{number, peer, now + int64(channelLifetime)})
	return 0
}

// revoke takes back the permissions and channels of the peers that are denied.
func (ps *permissions) revoke(denied func(netip.Addr) bool) {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.allowed = slices.DeleteFunc(ps.allowed, func(p permission) bool { return denied(p.peer) })
	ps.channels = slices.DeleteFunc(ps.channels, func(c channel) bool { return denied(c.peer.Addr()) })
}

// permitted reports whether datagrams may pass to and from peer.
func (ps *permissions) permitted(peer netip.Addr, now int64) bool {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	p := ps.find(peer)
	return p != nil && p.expires > now
}

// peerOf returns the peer that a channel is bound to.
func (ps *permissions) peerOf(number uint16, now int64) (netip.AddrPort, bool) {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	c := ps.numbered(number)
	if c == nil || c.expires <= now {
		return netip.AddrPort{}, false
	}
	return c.peer, true
}

// channelOf returns the channel that peer is bound to, or 0.
func (ps *permissions) channelOf(peer netip.AddrPort, now int64) uint16 {
	ps.mu.RLock()
	defer ps.mu.RUnlock()
	if c := ps.to(peer); c != nil && c.expires > now {
		return c.number
	}
	return 0
}
