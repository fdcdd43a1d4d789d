package turnserver

import (
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/pion/stun"
)

var forbidden4 = []string{
	"0.0.0.0", "0.1.2.3", "10.0.0.1", "10.255.255.255", "100.64.0.1", "100.127.255.254", "127.0.0.1", "127.1.2.3",
	"169.254.0.1", "169.254.169.254", "172.16.0.1", "172.31.255.255", "192.0.0.1", "192.0.0.170", "192.0.2.1",
	"192.88.99.1", "192.168.0.1", "192.168.255.255", "198.18.0.1", "198.19.255.255", "198.51.100.1", "203.0.113.1",
	"224.0.0.1", "239.255.255.250", "240.0.0.1", "255.255.255.255", "11.22.33.44", // the last is this host's own
}

var forbidden6 = []string{
	"::", "::1", "100::1", "2001:db8::1", "3fff::1", "2001:2::1", "2001:10::1", "fc00::1", "fd12:3456::1", "fe80::1",
	"febf::1", "fec0::1", "ff02::1", "ff0e::1", "64:ff9b:1::1", "5f00::1", "2600::53", // the last is this host's own
}

// encodings writes an IPv4 address in every way that IPv6 has for it.
func encodings(a netip.Addr) map[string]netip.Addr {
	v4 := a.As4()
	at := func(prefix string, i int) netip.Addr {
		b := netip.MustParseAddr(prefix).As16()
		copy(b[i:], v4[:])
		return netip.AddrFrom16(b)
	}
	teredo := netip.MustParseAddr("2001:0:102:304::").As16()
	for i := range v4 {
		teredo[12+i] = ^v4[i]
	}
	return map[string]netip.Addr{
		"IPv4-mapped": at("::ffff:0:0", 12), "IPv4-compatible": at("::", 12), "SIIT": at("::ffff:0:0:0", 12),
		"NAT64": at("64:ff9b::", 12), "local NAT64": at("64:ff9b:1::", 12), "6to4": at("2002::1", 2),
		"Teredo": netip.AddrFrom16(teredo), "ISATAP": at("2600:1::5efe:0:0", 12), "ISATAP, global": at("2600:1::200:5efe:0:0", 12),
	}
}

func TestForbiddenPeersGetNoPermission(t *testing.T) {
	s := start(t, func(c *Config) {
		c.Policy.AllowPeers = nil
		c.RelayAddress6 = netip.IPv6Loopback()
		c.RelayBind6 = netip.IPv6Loopback()
		c.OwnAddresses = []netip.Addr{netip.MustParseAddr("11.22.33.44"), netip.MustParseAddr("2600::53")}
	})
	server := listen(t, s, UDP)
	c4, c6 := newRawClient(t, UDP, server, "a"), newRawClient(t, UDP, server, "b")
	c4.allocate()
	c6.allocate(attr(attrFamily, familyIPv6, 0, 0, 0))

	peers := map[string]netip.Addr{}
	for _, text := range forbidden4 {
		a := netip.MustParseAddr(text)
		peers[text] = a
		for form, e := range encodings(a) {
			peers[text+" as "+form] = e
		}
	}
	for _, text := range forbidden6 {
		peers[text] = netip.MustParseAddr(text)
	}
	if len(peers) < 280 {
		t.Fatalf("only %d addresses", len(peers))
	}
	public4, public6 := peer("9.9.9.9:9"), peer("[2620:fe::fe]:9")
	channel := uint16(minChannel)
	for name, addr := range peers {
		for family, c := range map[string]*rawClient{"IPv4": c4, "IPv6": c6} {
			p := peerAttr(netip.AddrPortFrom(addr, 53))
			public := public4
			if c == c6 {
				public = public6
			}
			channel++
			for how, code := range map[string]int{
				"permission":            c.request(stun.MethodCreatePermission, p),
				"permission, with good": c.request(stun.MethodCreatePermission, public, p),
				"channel":               c.request(stun.MethodChannelBind, channelAttr(channel), p),
			} {
				if code != codeForbidden && code != codePeerFamily {
					t.Errorf("%s for %s on an %s allocation: code %d, want 403 or 443", how, name, family, code)
				}
			}
		}
	}
	granted := 0
	s.relays.each(func(a *allocation) {
		a.mu.RLock()
		defer a.mu.RUnlock()
		granted += len(a.allowed) + len(a.channels)
	})
	if granted != 0 {
		t.Errorf("%d permissions and channels were granted", granted)
	}
	// The same requests for a public host are granted, so the test can fail.
	for _, tc := range []struct {
		c *rawClient
		p peerAttr
	}{{c4, public4}, {c6, public6}} {
		if code := tc.c.request(stun.MethodCreatePermission, tc.p); code != 0 {
			t.Errorf("permission for %v: code %d", netip.AddrPort(tc.p), code)
		}
		if code := tc.c.request(stun.MethodChannelBind, channelAttr(0x5000), tc.p); code != 0 {
			t.Errorf("channel for %v: code %d", netip.AddrPort(tc.p), code)
		}
	}
}

func TestCheckPeer(t *testing.T) {
	relay4, relay6 := "5.6.7.8", "2600::8"
	own := func(a netip.Addr) bool { return slices.Contains([]string{relay4, relay6, "5.6.7.9"}, a.String()) }
	for _, tc := range []struct {
		allow, deny string
		relay, peer string
		want        verdict
	}{
		{"", "", relay4, "9.9.9.9", peerAllowed},
		{"", "", relay6, "2620:fe::fe", peerAllowed},
		{"", "", relay4, "2620:fe::fe", peerFamily},
		{"", "", relay6, "9.9.9.9", peerFamily},
		{"", "", relay4, "::ffff:9.9.9.9", peerFamily},
		{"", "", relay6, "::ffff:9.9.9.9", peerFamily},
		{"", "", relay6, "::ffff:10.0.0.1", peerDenied},
		{"10.0.0.0/8", "", relay6, "::ffff:10.0.0.1", peerFamily},
		{"", "", relay6, "2002:909:909::1", peerAllowed},
		{"", "", relay6, "64:ff9b::9.9.9.9", peerDenied},
		{"", "9.9.9.0/24", relay6, "64:ff9b::9.9.9.9", peerDenied},
		{"", "", relay4, relay4, peerAllowed}, // other allocations only: relayUp sees to that
		{"", "", relay4, "5.6.7.9", peerDenied},
		{"", "", relay6, "2002:506:709::1", peerDenied}, // the host's own, by way of 6to4
		{"", "", relay6, "2002:506:708::1", peerDenied},
		{"10.1.0.0/16", "", relay4, "10.1.2.3", peerAllowed},
		{"10.1.0.0/16", "", relay4, "10.2.2.3", peerDenied},
		{"10.1.0.0/16", "10.1.2.0/24", relay4, "10.1.2.3", peerDenied},
		{"", "9.9.9.0/24", relay4, "9.9.9.9", peerDenied},
		{"fd00::/8", "", relay6, "fd00::1", peerAllowed},
		{"127.0.0.0/8", "", relay4, "127.0.0.1", peerAllowed},
		{"", "", relay6, "fe80::1%eth0", peerDenied},
	} {
		var p Policy
		if tc.allow != "" {
			p.AllowPeers = prefixes(tc.allow)
		}
		if tc.deny != "" {
			p.DenyPeers = prefixes(tc.deny)
		}
		if got := p.checkPeer(netip.MustParseAddr(tc.peer), netip.MustParseAddr(tc.relay), own); got != tc.want {
			t.Errorf("peer %s on %s, allow %q, deny %q: %d, want %d", tc.peer, tc.relay, tc.allow, tc.deny, got, tc.want)
		}
	}
}

func TestInvalidPolicies(t *testing.T) {
	for want, p := range map[string]Policy{
		"shared secret":          {RelayEnabled: true},
		"shared secret 1 is":     {Secrets: [][]byte{[]byte("a"), nil}},
		"peer prefix":            {AllowPeers: []netip.Prefix{{}}},
		"user bandwidth is -1":   {UserBandwidth: -1},
		"total bytes is -5: giv": {TotalBytes: -5},
	} {
		if _, err := New(Config{Policy: p}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one about %q", err, want)
		}
	}
	s := start(t, nil)
	before := s.Policy()
	if err := s.SetPolicy(Policy{RelayEnabled: true}); err == nil {
		t.Error("a policy without a secret is taken")
	}
	if got := s.Policy(); !got.RelayEnabled || string(got.Secrets[0]) != string(before.Secrets[0]) {
		t.Errorf("the old policy is gone: %+v", got)
	}
}

func TestInvalidConfigs(t *testing.T) {
	addr := netip.MustParseAddr
	for want, c := range map[string]Config{
		"are not a range":     {RelayPorts: PortRange{Min: 9, Max: 8}},
		"not an address of a": {RelayAddress: netip.IPv4Unspecified()},
		"differ in family":    {RelayAddress: addr("5.6.7.8"), RelayBind: addr("::1")},
		"it must be IPv6":     {RelayAddress: addr("5.6.7.8"), RelayAddress6: addr("5.6.7.9")},
		"realm is":            {Realm: strings.Repeat("x", 800)},
	} {
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want one with %q", err, want)
		}
	}
}
