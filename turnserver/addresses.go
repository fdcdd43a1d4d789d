package turnserver

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// special are the ranges that are no public unicast host, from the IANA
// special-purpose registries (RFC 6890 and its successors).
var special = prefixes(
	"0.0.0.0/8",       // this network
	"10.0.0.0/8",      // private
	"100.64.0.0/10",   // carrier-grade NAT
	"127.0.0.0/8",     // loopback
	"169.254.0.0/16",  // link-local, cloud metadata
	"172.16.0.0/12",   // private
	"192.0.0.0/24",    // protocol assignments
	"192.0.2.0/24",    // documentation
	"192.31.196.0/24", // AS112
	"192.52.193.0/24", // AMT
	"192.88.99.0/24",  // 6to4 relay anycast
	"192.168.0.0/16",  // private
	"192.175.48.0/24", // AS112
	"198.18.0.0/15",   // benchmarking
	"198.51.100.0/24", // documentation
	"203.0.113.0/24",  // documentation
	"224.0.0.0/4",     // multicast
	"240.0.0.0/4",     // reserved, broadcast

	"168.63.129.16/32", // the platform of a cloud

	// Of IPv6, all that is not global unicast (2000::/3) is special, and in that:
	"2001::/23",     // protocol assignments (Teredo, benchmarking, ORCHID)
	"2001:db8::/32", // documentation
	"3fff::/20",     // documentation
	"2620:4f:8000::/48",
)

func prefixes(list ...string) []netip.Prefix {
	out := make([]netip.Prefix, len(list))
	for i, s := range list {
		out[i] = netip.MustParsePrefix(s)
	}
	return out
}

// isSpecial reports whether addr is anything but a public unicast address.
func isSpecial(addr netip.Addr) bool {
	return !addr.IsValid() || addr.Zone() != "" || addr.Is6() && !global6.Contains(addr) || contains(special, addr)
}

// global6 is global unicast: RFC 4291, section 2.4, as IANA assigns it.
var global6 = netip.MustParsePrefix("2000::/3")

// form says how an IPv4 address is written within an IPv6 one.
type form uint8

const (
	formPlain      form = iota // there is none within
	formDisguised              // the IPv6 address is only a way to write the IPv4 one
	formTranslated             // a router on the way takes the IPv4 address out
)

var (
	compatible4 = netip.MustParsePrefix("::/96")
	siit        = netip.MustParsePrefix("::ffff:0:0:0/96")
	nat64       = netip.MustParsePrefix("64:ff9b::/96")
	nat64Local  = netip.MustParsePrefix("64:ff9b:1::/48")
	sixToFour   = netip.MustParsePrefix("2002::/16")
	teredo      = netip.MustParsePrefix("2001::/32")
)

// unembed finds the IPv4 address within an IPv6 one: IPv4-mapped, IPv4-compatible
// and SIIT (RFC 4291, RFC 2765), NAT64 (RFC 6052), 6to4 (RFC 3056), Teredo (RFC 4380)
// and ISATAP (RFC 5214).
func unembed(addr netip.Addr) (netip.Addr, form) {
	if !addr.Is6() {
		return addr, formPlain
	}
	b := addr.As16()
	tail := netip.AddrFrom4([4]byte(b[12:16]))
	switch {
	case addr.Is4In6(), siit.Contains(addr):
		return tail, formDisguised
	case compatible4.Contains(addr) && !addr.IsUnspecified() && addr != netip.IPv6Loopback():
		return tail, formDisguised
	case nat64.Contains(addr), nat64Local.Contains(addr):
		return tail, formTranslated
	case sixToFour.Contains(addr):
		return netip.AddrFrom4([4]byte(b[2:6])), formTranslated
	case teredo.Contains(addr):
		return netip.AddrFrom4([4]byte{^b[12], ^b[13], ^b[14], ^b[15]}), formTranslated
	case b[8]&^0x02 == 0 && b[9] == 0 && b[10] == 0x5e && b[11] == 0xfe:
		return tail, formTranslated
	}
	return addr, formPlain
}

// ownAddrs knows the addresses of this host. It asks the operating system again
// when what it knows is half a minute old.
type ownAddrs struct {
	fixed atomic.Pointer[map[netip.Addr]bool]

	mu    sync.Mutex
	read  time.Time
	found map[netip.Addr]bool
}

// set replaces the addresses that are known without asking.
func (o *ownAddrs) set(fixed ...netip.Addr) {
	m := map[netip.Addr]bool{}
	for _, a := range fixed {
		if a.IsValid() {
			m[a.Unmap()] = true
		}
	}
	o.fixed.Store(&m)
}

// has reports whether addr is an address of this host, or one that leads to it.
func (o *ownAddrs) has(addr netip.Addr) bool { return (*o.fixed.Load())[addr] || o.local(addr) }

// local reports whether addr is one of this host's network interfaces.
func (o *ownAddrs) local(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true // the loopback interface has all of 127.0.0.0/8
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.found == nil || time.Since(o.read) > 30*time.Second {
		o.read = time.Now()
		list, err := net.InterfaceAddrs()
		if err != nil && o.found == nil {
			return true // not knowing what is ours, nothing is allowed
		}
		if err == nil {
			o.found = make(map[netip.Addr]bool, len(list))
			for _, a := range list {
				if p, err := netip.ParsePrefix(a.String()); err == nil {
					o.found[p.Addr().Unmap().WithZone("")] = true
				}
			}
		}
	}
	return o.found[addr]
}
