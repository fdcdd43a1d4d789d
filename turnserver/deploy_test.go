package turnserver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/pion/stun"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// ping is ChannelData on the first channel, long enough for pion's reader of streams.
var ping = append([]byte{0x40, 0, 0, 12}, "ping to echo"...)

// TestIntranet: with a private relay address two viewers of the relay reach each
// other, and nothing else at that address.
func TestIntranet(t *testing.T) {
	s := start(t, func(c *Config) {
		c.RelayAddress, c.Policy.AllowPeers = netip.MustParseAddr("10.1.2.3"), nil
		c.Policy.Secrets = [][]byte{secret}
	})
	server := listen(t, s, UDP)
	a, b := newRawClient(t, UDP, server, "a"), newRawClient(t, UDP, server, "b")
	a.allocate()
	b.allocate()
	for c, to := range map[*rawClient]netip.AddrPort{a: relayedOf(t, s, b), b: relayedOf(t, s, a)} {
		if code := c.request(stun.MethodChannelBind, channelAttr(minChannel), peerAttr(to)); code != 0 {
			t.Fatalf("channel to %v: code %d", to, code)
		}
	}
	a.send([]byte{0x40, 0, 0, 2, 'h', 'i', 0, 0})
	if got := b.receive(5 * time.Second); len(got) < 6 || string(got[4:6]) != "hi" {
		t.Errorf("b got %x", got)
	}
	if code := a.request(stun.MethodChannelBind, channelAttr(minChannel+1), peer("10.1.2.3:22")); code != 0 {
		t.Fatalf("channel: code %d", code)
	}
	a.send([]byte{0x40, 1, 0, 2, 'h', 'i', 0, 0})
	eventually(t, "the datagram to a service is dropped", func() bool { return s.Stats().Drops["own_address"] == 1 })
	for _, other := range []string{"10.1.2.4:22", "192.168.0.1:22", "168.63.129.16:80"} {
		if code := a.request(stun.MethodCreatePermission, peer(other)); code != codeForbidden {
			t.Errorf("permission for %s: code %d, want 403", other, code)
		}
	}
	for _, addr := range []string{"168.63.129.16", "1000::1", "4000::1", "64:ff9b::9.9.9.9", "fe80::1", "::1"} {
		if !isSpecial(netip.MustParseAddr(addr)) {
			t.Errorf("%s is taken for a public host", addr)
		}
	}
	if st := s.Stats(); st.Relayed != 2 {
		t.Errorf("%d bytes relayed in all, want the 2 of one datagram once", st.Relayed)
	}
}

// TestForgedRequestsSilenceNobody: 5 KB/s of forged requests of either kind leave
// answers for others at that address.
func TestForgedRequestsSilenceNobody(t *testing.T) {
	for name, forged := range map[string]*stun.Message{
		"allocate": stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), wantUDP),
		"binding":  stun.MustBuild(stun.TransactionID, stun.BindingRequest),
	} {
		l := newSourceLimit()
		rate := Policy{}.clone().UnauthRate
		if name == "binding" {
			rate = Policy{}.clone().BindingRate
		}
		perSecond := 5000 / len(forged.Raw)
		from := netip.MustParseAddr("192.0.2.1")
		refused := 0
		for i := range 60 * perSecond { // a minute
			if !l.take(int64(i)*int64(time.Second)/int64(perSecond), from, rate) {
				refused++
			}
		}
		if refused != 0 {
			t.Errorf("%s: %d of %d answers were refused", name, refused, 60*perSecond)
		}
	}
	// One kind does not spend the other's.
	s := start(t, func(c *Config) { c.Policy.UnauthRate, c.Policy.BindingRate = 1, 1000 })
	c := newRawClient(t, UDP, listen(t, s, UDP), "a")
	m := stun.MustBuild(stun.TransactionID, stun.NewType(stun.MethodAllocate, stun.ClassRequest), wantUDP)
	for range 50 {
		c.send(m.Raw)
	}
	_ = c.do(stun.MustBuild(stun.TransactionID, stun.BindingRequest))
	if s.Stats().Drops["unauth_limit"] == 0 {
		t.Error("no answer to an Allocate was refused")
	}
}

// failing is a socket that reports errors as one on Windows does: of each datagram that is
// too large for the buffer, and of datagrams that could not be delivered.
type failing struct {
	net.PacketConn
	unreachable int // reports to come
}

func (f *failing) ReadFrom(b []byte) (int, net.Addr, error) {
	if f.unreachable > 0 {
		f.unreachable--
		return 0, nil, errors.New("wsarecvfrom: An existing connection was forcibly closed by the remote host")
	}
	n, from, err := f.PacketConn.ReadFrom(b)
	if err == nil && n > maxDatagram {
		return n, nil, errors.New("wsarecvfrom: A message sent on a datagram socket was larger than the internal message buffer")
	}
	return n, from, err
}

func TestALargeDatagramEndsNoListener(t *testing.T) {
	s := start(t, func(c *Config) {
		c.ListenPacket = func(_ context.Context, network, address string) (net.PacketConn, error) {
			conn, err := net.ListenPacket(network, address)
			return &failing{conn, 3 * maxFailures}, err
		}
	})
	c := newRawClient(t, UDP, listen(t, s, UDP), "a")
	for range 3 * maxFailures {
		c.send(make([]byte, maxDatagram+1))
	}
	c.do(stun.MustBuild(stun.TransactionID, stun.BindingRequest))
	if n := s.Stats().Drops["oversize"]; n == 0 {
		t.Error("no datagram is counted as too large")
	}
}

// TestConnLimitsFollowThePolicy: a policy that allows more connections lets them in.
func TestConnLimitsFollowThePolicy(t *testing.T) {
	s := start(t, func(c *Config) { c.Policy.MaxConns = 1 })
	server := listen(t, s, TCP)
	newRawClient(t, TCP, server, "a").allocate()
	refused := dialStream(t, TCP, server)
	defer refused.Close()
	_ = refused.SetReadDeadline(time.Now().Add(5 * time.Second))
	if _, err := refused.Read(make([]byte, 1)); err == nil {
		t.Error("a second connection is served")
	}
	p := s.Policy()
	p.MaxConns = 2
	if err := s.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	newRawClient(t, TCP, server, "b").allocate()
}

// TestSettingsChangeForNewAllocations: other relay ports, addresses and realms hold for
// what is allocated then; what was allocated before goes on.
func TestSettingsChangeForNewAllocations(t *testing.T) {
	s := start(t, func(c *Config) { c.RelayPorts = PortRange{40000, 40099} })
	server := listen(t, s, UDP)
	to := echo(t)
	old := newRawClient(t, UDP, server, "old")
	old.allocate()
	if code := old.request(stun.MethodChannelBind, channelAttr(minChannel), peerAttr(to.(*net.UDPAddr).AddrPort())); code != 0 {
		t.Fatal(code)
	}
	next := Settings{Realm: "other.example", RelayAddress: netip.MustParseAddr("127.0.0.4"), RelayPorts: PortRange{41000, 41099}}
	if err := s.SetSettings(next); err != nil {
		t.Fatal(err)
	}
	fresh := newRawClient(t, UDP, server, "fresh")
	fresh.allocate()
	if at := relayedOf(t, s, fresh); at.Addr() != next.RelayAddress || at.Port() < 41000 || at.Port() > 41099 || string(fresh.realm) != next.Realm {
		t.Errorf("a new allocation at %v in realm %s", at, fresh.realm)
	}
	old.send(ping)
	if old.receive(5*time.Second) == nil {
		t.Error("the old allocation relays no more")
	}
	if err := s.SetSettings(Settings{RelayPorts: PortRange{2, 1}}); err == nil || s.settings.Load().Realm != next.Realm {
		t.Error("settings that are not valid were taken")
	}
}

// TestRetiredListeners: what was allocated over a listener lives on when that is
// retired, nothing new comes, and it can be taken back.
func TestRetiredListeners(t *testing.T) {
	for _, tr := range []Transport{UDP, TCP} {
		t.Run(tr.String(), func(t *testing.T) {
			s := start(t, nil)
			server := listen(t, s, tr)
			to := echo(t)
			c := newRawClient(t, tr, server, "old")
			c.allocate()
			if code := c.request(stun.MethodChannelBind, channelAttr(minChannel), peerAttr(to.(*net.UDPAddr).AddrPort())); code != 0 {
				t.Fatal(code)
			}
			s.Retire(server)
			c.send(ping)
			if c.receive(5*time.Second) == nil {
				t.Error("the old allocation relays no more")
			}
			if tr == UDP {
				fresh := newRawClient(t, tr, server, "fresh")
				fresh.challenge()
				if code := fresh.request(stun.MethodAllocate, wantUDP); code == 0 {
					t.Error("a new allocation is made")
				}
				if again, err := s.ListenUDP("127.0.0.1:0", 1); err != nil || again.String() != server.String() {
					t.Fatalf("listening again: %v, %v", again, err)
				}
				fresh.allocate()
				s.Retire(server)
				_ = fresh.request(stun.MethodRefresh, attr(attrLifetime, 0, 0, 0, 0))
			}
			if code := c.request(stun.MethodRefresh, attr(attrLifetime, 0, 0, 0, 0)); code != 0 {
				t.Errorf("delete: code %d", code)
			}
			eventually(t, "the address is free", func() bool {
				var err error
				if tr == UDP {
					var conn net.PacketConn
					if conn, err = net.ListenPacket("udp4", server.String()); err == nil {
						conn.Close()
					}
				} else {
					var ln net.Listener
					if ln, err = net.Listen("tcp", server.String()); err == nil {
						ln.Close()
					}
				}
				return err == nil
			})
		})
	}
}

// TestADeniedPeerIsCutOff: a policy that denies a peer takes its channel at once.
func TestADeniedPeerIsCutOff(t *testing.T) {
	s := start(t, nil)
	c := newRawClient(t, UDP, listen(t, s, UDP), "a")
	c.allocate()
	good, bad := echo(t), echo(t)
	for i, to := range []net.Addr{good, bad} {
		at := netip.MustParseAddrPort(to.String())
		if i == 1 { // the same program by another address
			conn, err := net.ListenPacket("udp4", "127.0.0.9:0")
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			at = netip.MustParseAddrPort(conn.LocalAddr().String())
		}
		if code := c.request(stun.MethodChannelBind, channelAttr(minChannel+uint16(i)), peerAttr(at)); code != 0 {
			t.Fatal(code)
		}
	}
	p := s.Policy()
	p.DenyPeers = prefixes("127.0.0.9/32")
	if err := s.SetPolicy(p); err != nil {
		t.Fatal(err)
	}
	c.send([]byte{0x40, 1, 0, 2, 'h', 'i', 0, 0})
	eventually(t, "the datagram is dropped", func() bool { return s.Stats().Drops["permission"] == 1 })
	c.send(ping)
	if c.receive(5*time.Second) == nil {
		t.Error("a peer that is not denied is cut off, too")
	}
}

// TestFamiliesAreCountedApart: IPv6 allocations do not use up the ports of IPv4.
func TestFamiliesAreCountedApart(t *testing.T) {
	s := start(t, func(c *Config) {
		c.RelayPorts, c.RelayAddress6 = PortRange{42000, 42001}, netip.IPv6Loopback()
	})
	server := listen(t, s, UDP)
	for i := range 2 {
		newRawClient(t, UDP, server, fmt.Sprint(i)).allocate(attr(attrFamily, familyIPv6, 0, 0, 0))
	}
	if !s.RelayAvailable() || s.RelayAvailable6() {
		t.Errorf("relay available: IPv4 %v, IPv6 %v, with all IPv4 ports free and no IPv6 port", s.RelayAvailable(), s.RelayAvailable6())
	}
	for i := range 2 {
		newRawClient(t, UDP, server, fmt.Sprint("four", i)).allocate()
	}
	if s.RelayAvailable() {
		t.Error("a relay is offered though no IPv4 port is free")
	}
	// The old allocations stand outside a new range, and inside it again.
	settings := s.settings.Load()
	for ports, want := range map[PortRange]bool{{42010, 42010}: true, {42000, 42001}: false} {
		next := *settings
		next.RelayPorts = ports
		if err := s.SetSettings(next); err != nil {
			t.Fatal(err)
		}
		if got := s.RelayAvailable(); got != want {
			t.Errorf("relay available in ports %v: %v", ports, got)
		}
	}
}

// TestAuditAndList: an allocation is listed, can be ended by name, and leaves a line,
// which names the client only where addresses are logged.
func TestAuditAndList(t *testing.T) {
	for _, addresses := range []bool{false, true} {
		core, logs := observer.New(zap.InfoLevel)
		s := start(t, func(c *Config) {
			c.Logger = zap.New(core)
			c.Policy.Audit, c.Policy.LogAddresses = true, addresses
		})
		server := listen(t, s, UDP)
		c := newRawClient(t, UDP, server, "viewer")
		c.allocate()
		to := echo(t)
		if code := c.request(stun.MethodChannelBind, channelAttr(minChannel), peerAttr(to.(*net.UDPAddr).AddrPort())); code != 0 {
			t.Fatal(code)
		}
		c.send(ping)
		if c.receive(5*time.Second) == nil {
			t.Fatal("nothing came back")
		}
		var list []AllocationInfo
		eventually(t, "all is counted", func() bool {
			list = s.Allocations()
			return len(list) == 1 && list[0].Up == 12 && list[0].Down == 12
		})
		if len(list) != 1 || list[0].User != "viewer" || list[0].Transport != "udp" || list[0].Up != 12 || list[0].Down != 12 ||
			list[0].Listener != "udp/"+server.String() || list[0].Client.String() != c.conn.LocalAddr().String() {
			t.Fatalf("listed: %+v", list)
		}
		if !s.EndAllocation(list[0].Relayed) || s.EndAllocation(list[0].Relayed) {
			t.Error("it cannot be ended, or more than once")
		}
		if by := s.Stats().Listeners["udp/"+server.String()]; by != (Relayed{12, 1, 12, 1}) {
			t.Errorf("the listener has relayed %+v", by)
		}
		if by := s.Stats().Transports; by["udp"] != (Relayed{12, 1, 12, 1}) || by["tls"] != (Relayed{}) {
			t.Errorf("the transports have relayed %+v", by)
		}
		lines := logs.FilterMessage("allocation ended").All()
		if len(lines) != 1 {
			t.Fatalf("%d lines", len(lines))
		}
		m := lines[0].ContextMap()
		if m["user"] != "viewer" || m["transport"] != "udp" || m["up_bytes"] != int64(12) || m["down_bytes"] != int64(12) ||
			m["relayed_port"] != list[0].Relayed.Port() || m["duration"] == nil {
			t.Errorf("the line says %v", m)
		}
		if client, ok := m["client"].(string); ok != addresses || strings.Contains(fmt.Sprint(m), "127.0.0.1:"+fmt.Sprint(list[0].Client.Port())) != addresses {
			t.Errorf("log_addresses %v: the line names the client %q", addresses, client)
		}
	}
}
