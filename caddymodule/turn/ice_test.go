package turn

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// TestWhatViewersAreTold: URLs name what leads to the relay from outside, whatever the
// request came by.
func TestWhatViewersAreTold(t *testing.T) {
	everywhere := []*bound{{network: "udp", addr: netip.MustParseAddrPort("[::]:3478")}, {network: "tcp", addr: netip.MustParseAddrPort("0.0.0.0:3478")},
		{network: "tls", addr: netip.MustParseAddrPort("[::]:5349")}}
	cdn := KnownAs{Host: "cdn.example.net", TLS: true, Name: "origin.example.com", Port: 443}
	for _, c := range []struct {
		name  string
		turn  *Config
		bound []*bound
		at    KnownAs
		want  string
	}{
		{"a private address behind a router", &Config{RelayAddress: "203.0.113.4"},
			[]*bound{{network: "udp", addr: netip.MustParseAddrPort("10.0.0.2:3478")}}, cdn,
			"stun:203.0.113.4:3478 turn:203.0.113.4:3478?transport=udp"},
		{"behind a CDN", &Config{RelayAddress: "203.0.113.4"}, everywhere, cdn,
			"stun:203.0.113.4:3478 turn:203.0.113.4:3478?transport=udp turn:203.0.113.4:3478?transport=tcp turns:origin.example.com:5349?transport=tcp"},
		{"two families", &Config{RelayAddress: "203.0.113.4", RelayAddress6: "2001:db8::4"}, everywhere[:2], cdn,
			"stun:203.0.113.4:3478 stun:[2001:db8::4]:3478 turn:203.0.113.4:3478?transport=udp turn:[2001:db8::4]:3478?transport=udp turn:203.0.113.4:3478?transport=tcp"},
		{"advertised", &Config{RelayAddress: "203.0.113.4", Advertise: []string{"turn.example.com"}}, everywhere, cdn,
			"stun:turn.example.com:3478 turn:turn.example.com:3478?transport=udp turn:turn.example.com:3478?transport=tcp turns:turn.example.com:5349?transport=tcp"},
		{"advertised by network", &Config{RelayAddress: "203.0.113.4", Advertise: []string{"tls/relay.example.com:443", "udp/[2001:db8::7]"}}, everywhere, cdn,
			"stun:[2001:db8::7]:3478 turn:[2001:db8::7]:3478?transport=udp turn:203.0.113.4:3478?transport=tcp turns:relay.example.com:443?transport=tcp"},
		{"STUN alone", nil, everywhere[:1], KnownAs{Host: "video.example.com:8443"}, "stun:video.example.com:3478"},
		{"STUN alone, at an address", nil, []*bound{{network: "udp", addr: netip.MustParseAddrPort("203.0.113.9:3478")}}, cdn, "stun:203.0.113.9:3478"},
	} {
		r := &Relay{opts: Options{TURN: c.turn}, server: &server{}}
		r.bound.Store(&c.bound)
		stun, turn := r.urls(c.at)
		if c.turn == nil {
			turn = nil
		}
		if got := strings.Join(append(stun, turn...), " "); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", c.name, got, c.want)
		}
	}
	shared := &Relay{opts: Options{TURN: &Config{RelayAddress: "203.0.113.4"}}, server: &server{}}
	shared.shared.Store(443, true)
	shared.server.sharedUDP.Store(443, true)
	shared.shared.Store(8443, true)
	for at, want := range map[KnownAs]string{
		{Host: "video.example.com", TLS: true, Name: "video.example.com", Port: 443}:       "[stun:203.0.113.4:443] [turns:video.example.com:443?transport=tcp turn:203.0.113.4:443?transport=udp]",
		{Host: "video.example.com:9443", TLS: true, Name: "video.example.com", Port: 8443}: "[] [turns:video.example.com:9443?transport=tcp]", // a port that is mapped
		{Host: "cdn.example.net", TLS: true, Name: "origin.example.com", Port: 8443}:       "[] [turns:origin.example.com:8443?transport=tcp]",
		{Host: "203.0.113.4", TLS: true, Port: 8443}:                                       "[] [turns:203.0.113.4:443?transport=tcp]",
	} {
		stun, turn := shared.urls(at)
		if got := fmt.Sprint(stun, turn); got != want {
			t.Errorf("on the site's port, %+v: %s, want %s", at, got, want)
		}
	}
}

// TestOtherProviders: their servers stand behind the own ones, also where there is none.
func TestOtherProviders(t *testing.T) {
	other := signal.ICEServer{URLs: []string{"stun:stun.example.net"}}
	r := &Relay{opts: Options{ICEServers: []signal.ICEServer{other}}}
	if got := r.ICEServers(KnownAs{Host: "a"}, "u", "g", time.Now()); len(got) != 1 || got[0].URLs[0] != other.URLs[0] {
		t.Errorf("ICE servers %+v", got)
	}
}

// TestAnAddressThatTheHostHasNot: the error says what to write instead.
func TestAnAddressThatTheHostHasNot(t *testing.T) {
	s, err := newServer(zap.NewNop(), NewUsage(func(string, int64, int64, bool) {}))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, network := range networks {
		_, _, err = s.listen(network+"/192.0.2.1:3478", 0)
		for _, want := range []string{"192.0.2.1", "write listen " + network + "/:3478", "relay_address 192.0.2.1", "advertise 192.0.2.1"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: error %v, want one with %q", network, err, want)
			}
		}
	}
}
