package admission

import (
	"crypto/sha256"
	"net"
	"net/http"
	"net/netip"
	"slices"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// Viewer identifies the viewer whom the viewer token of a session names: the
// SHA-256 of its iss and sub. The zero value is nobody: the site wants no tokens,
// or the token has no sub that can be read. What else tokens hold changes when
// they are renewed.
type Viewer [sha256.Size]byte

// viewerOf returns whom an entitlement names.
func viewerOf(e tokens.Entitlement) Viewer {
	if e.Subject == "" {
		return Viewer{}
	}
	return sha256.Sum256([]byte(e.Issuer + "\x00" + e.Subject))
}

// sourceOf returns the address by which limits and bans count a viewer's address:
// the /64 for IPv6.
func sourceOf(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		p, _ := ip.Prefix(64)
		return p.Addr()
	}
	return ip
}

// prefixOf returns the network by which peers count as near: /24 or /48; "" if the
// address is unknown.
func prefixOf(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	bits := 24
	if a.Is6() {
		bits = 48
	}
	p, err := a.Prefix(bits)
	if err != nil {
		return ""
	}
	return p.String()
}

// insides are the ranges of addresses that are not public beside those that netip knows:
// shared ones (RFC 6598), benchmarks (RFC 2544), "this" network, reserved ones, and those
// of IPv6 that carry IPv4 addresses (RFC 4291, 6052, 8215, 3056, 4380).
var insides = func() (out []netip.Prefix) {
	for _, p := range []string{"100.64.0.0/10", "198.18.0.0/15", "0.0.0.0/8", "240.0.0.0/4", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32", "fec0::/10"} {
		out = append(out, netip.MustParsePrefix(p))
	}
	return out
}()

// IsPublic reports whether an address is one of the public Internet.
func IsPublic(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	return a.IsGlobalUnicast() && !a.IsPrivate() && !slices.ContainsFunc(insides, func(p netip.Prefix) bool { return p.Contains(a) })
}

// KnownAs is what a viewer knows the edge by.
type KnownAs struct {
	Host string // of the request, in lower case, with the port if it is not the default
	TLS  bool   // the viewer's own TLS, or a CDN's, ends here
	Name string // that TLS has asked for, which the certificate is for
	Port int    // of the listener that took the request; 0 where it is unknown
}

// known returns what the sender of r knows the edge by.
func known(r *http.Request, https bool) KnownAs {
	at := KnownAs{Host: manifest.CanonicalHost(r.Host, https), TLS: r.TLS != nil}
	if r.TLS != nil {
		at.Name = r.TLS.ServerName
	}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr); ok {
		switch a := addr.(type) {
		case *net.TCPAddr:
			at.Port = a.Port
		case *net.UDPAddr:
			at.Port = a.Port
		}
	}
	return at
}
