package caddymodule

import (
	"crypto/sha256"
	"hash/maphash"
	"net/netip"
	"time"

	"github.com/viewmesh/viewmesh/tokens"
)

// viewerID is who the viewer token of a session names: the SHA-256 of its iss and
// sub. The zero value is nobody: the site wants no tokens, or the token has no
// sub that can be read. What else tokens hold changes when they are renewed.
type viewerID [sha256.Size]byte

// viewerOf gives who an entitlement names.
func viewerOf(e tokens.Entitlement) viewerID {
	if e.Subject == "" {
		return viewerID{}
	}
	return sha256.Sum256([]byte(e.Issuer + "\x00" + e.Subject))
}

// bans holds those of whom peers were banned.
//
// A viewer that its token names is refused sessions and renewals. Of others only
// the address is known, behind which there may be a thousand households: the
// sessions that they have go on, and new ones from there may take and not give,
// because giving is how a peer does harm.
type bans struct {
	viewers banList[viewerID]
	sources banList[netip.Addr]
}

func (b *bans) add(viewer viewerID, source netip.Addr, now time.Time) {
	if viewer != (viewerID{}) {
		b.viewers.add(viewer, now)
		return
	}
	b.sources.add(source, now)
}

// refuses says whether a viewer is refused sessions.
func (b *bans) refuses(viewer viewerID, now time.Time) bool {
	return viewer != (viewerID{}) && b.viewers.has(viewer, now)
}

// silences says whether a viewer's new session may take and not give.
func (b *bans) silences(viewer viewerID, source netip.Addr, now time.Time) bool {
	return viewer == (viewerID{}) && b.sources.has(source, now)
}

var trackerSeed = maphash.MakeSeed()

// trackerViewer is tracker.Facts.Viewer: by the token where it names somebody, and
// by the source address (a /64 for IPv6) where it does not.
func trackerViewer(viewer viewerID, source netip.Addr) uint64 {
	if viewer != (viewerID{}) {
		return maphash.Bytes(trackerSeed, viewer[:]) | 1
	}
	return maphash.Comparable(trackerSeed, source) | 1
}
