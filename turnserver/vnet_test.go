package turnserver

import (
	"context"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/pion/logging"
	"github.com/pion/transport/v2/vnet"
	"github.com/pion/turn/v2"
)

// natWorld is a simulated internet with the server on it and two hosts, each behind a
// NAT of its own.
type natWorld struct {
	server *Server
	hosts  [2]*vnet.Net
}

const serverIP = "5.6.7.8"

func newNATWorld(t *testing.T, a, b *vnet.NATType) *natWorld {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	logs := logging.NewDefaultLoggerFactory()
	wan, err := vnet.NewRouter(&vnet.RouterConfig{CIDR: "0.0.0.0/0", LoggerFactory: logs})
	must(err)
	w := &natWorld{}
	serverNet, err := vnet.NewNet(&vnet.NetConfig{StaticIP: serverIP})
	must(err)
	must(wan.AddNet(serverNet))
	for i, nat := range []*vnet.NATType{a, b} {
		lan, err := vnet.NewRouter(&vnet.RouterConfig{
			CIDR: "192.168.0.0/24", StaticIPs: []string{[]string{"27.1.1.1", "28.1.1.1"}[i]}, NATType: nat, LoggerFactory: logs,
		})
		must(err)
		w.hosts[i], err = vnet.NewNet(&vnet.NetConfig{})
		must(err)
		must(lan.AddNet(w.hosts[i]))
		must(wan.AddRouter(lan))
	}
	must(wan.Start())
	t.Cleanup(func() { _ = wan.Stop() })
	w.server = start(t, func(c *Config) {
		c.RelayAddress, c.RelayBind = netip.MustParseAddr(serverIP), netip.MustParseAddr(serverIP)
		c.Policy.AllowPeers = nil // the hosts' public addresses need no leave
		c.ListenPacket = func(_ context.Context, _, address string) (net.PacketConn, error) {
			return serverNet.ListenPacket("udp4", address)
		}
	})
	_, err = w.server.ListenUDP(serverIP+":3478", 1)
	must(err)
	return w
}

// viewer is a host with a socket, the address that the server sees it at, and a relay.
type viewer struct {
	conn      net.PacketConn
	client    *turn.Client
	reflexive net.Addr
	relay     net.PacketConn
	got       chan string // what came to the socket from other than the server
}

func (w *natWorld) viewer(t *testing.T, host int) *viewer {
	t.Helper()
	conn, err := w.hosts[host].ListenPacket("udp4", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	username, password := mint(secret, "viewer", time.Minute)
	v := &viewer{conn: conn, got: make(chan string, 100)}
	v.client, err = turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: serverIP + ":3478", TURNServerAddr: serverIP + ":3478", Conn: conn, Net: w.hosts[host],
		Username: username, Password: password, LoggerFactory: silent{},
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 2000)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if handled, err := v.client.HandleInbound(append([]byte{}, buf[:n]...), from); !handled && err == nil {
				v.got <- string(buf[:n])
			}
		}
	}()
	t.Cleanup(func() { v.client.Close(); _ = conn.Close(); <-done })
	if v.reflexive, err = v.client.SendBindingRequest(); err != nil {
		t.Fatal(err)
	}
	v.relay = allocate(t, v.client)
	return v
}

// punch sends from each to the other's reflexive address, as ICE does, and reports
// whether anything arrived.
func punch(t *testing.T, a, b *viewer) bool {
	t.Helper()
	for range 5 {
		_, _ = a.conn.WriteTo([]byte("direct"), b.reflexive)
		_, _ = b.conn.WriteTo([]byte("direct"), a.reflexive)
		select {
		case <-a.got:
			return true
		case <-b.got:
			return true
		case <-time.After(50 * time.Millisecond):
		}
	}
	return false
}

var (
	symmetric = &vnet.NATType{MappingBehavior: vnet.EndpointAddrPortDependent, FilteringBehavior: vnet.EndpointAddrPortDependent}
	cone      = &vnet.NATType{MappingBehavior: vnet.EndpointIndependent, FilteringBehavior: vnet.EndpointAddrPortDependent}
)

func TestConeToConeGoesDirect(t *testing.T) {
	w := newNATWorld(t, cone, cone)
	a, b := w.viewer(t, 0), w.viewer(t, 1)
	if !punch(t, a, b) {
		t.Error("nothing arrives though both NATs map the same for everybody")
	}
	if st := w.server.Stats(); st.UpBytes != 0 || st.DownBytes != 0 {
		t.Errorf("%d bytes went up, %d down over the relay", st.UpBytes, st.DownBytes)
	}
}

func TestSymmetricToSymmetricGoesByRelay(t *testing.T) {
	w := newNATWorld(t, symmetric, symmetric)
	a, b := w.viewer(t, 0), w.viewer(t, 1)
	if punch(t, a, b) {
		t.Fatal("a datagram got through two symmetric NATs: the world is not what it should be")
	}

	// One relay: a gives b leave, b sends to a's relayed address from wherever its NAT maps it.
	if err := a.client.CreatePermission(b.reflexive); err != nil {
		t.Fatalf("permission: %v", err)
	}
	if _, err := b.conn.WriteTo([]byte("to the relay"), a.relay.LocalAddr()); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 100)
	_ = a.relay.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, from, err := a.relay.ReadFrom(buf)
	if err != nil || string(buf[:n]) != "to the relay" {
		t.Fatalf("got %q, %v", buf[:n], err)
	}
	if from.String() == b.reflexive.String() {
		t.Errorf("%v came from the address that the server sees: that NAT is not symmetric", from)
	}
	if _, err := a.relay.WriteTo([]byte("and back"), from); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-b.got:
		if got != "and back" {
			t.Errorf("got %q", got)
		}
	case <-time.After(5 * time.Second):
		t.Error("nothing came back from the relay")
	}

	// Both relayed, as where neither can be reached: the relays meet inside the server.
	if err := b.client.CreatePermission(a.relay.LocalAddr()); err != nil {
		t.Fatalf("permission: %v", err)
	}
	roundTripVia(t, a.relay, b.relay, "x")
	roundTripVia(t, b.relay, a.relay, "y")
}
