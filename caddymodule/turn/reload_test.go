package turn_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/tokens"
)

var (
	reloadUDP   = flag.Int("turn-udp", 40, "allocations over UDP in TestAllocationsLiveThroughReloads")
	reloadTLS   = flag.Int("turn-tls", 10, "allocations over TLS in it, half of them on the HTTPS port")
	reloadTimes = flag.Int("turn-reloads", 6, "reloads in it")
)

// turnConfig is a Caddyfile with an HTTPS site and a relay over UDP, over TLS and
// on the HTTPS port. turn, server and site go into the blocks of that name, more
// behind them all.
func (e *edge) turnConfig(turn, server, site, more string) string {
	_, port, _ := net.SplitHostPort(e.addr)
	return fmt.Sprintf(`{
		%s
		mesh {
			turn {
				listen udp/127.0.0.1:0 tls/127.0.0.1:0
				relay_address 127.0.0.1
				allow_peers 127.0.0.0/8
				%s
			}
		}
		servers {
			listener_wrappers {
				mesh_turn
			}
			%s
		}
	}
	https://localhost:%s {
		bind 127.0.0.1
		mesh
		%s
	}
	%s`, e.tlsOptions(), turn, server, port, site, more)
}

// loadTURN loads a turnConfig and waits for the site's certificate.
func (e *edge) loadTURN(turn, server, site string) {
	e.t.Helper()
	if err := e.tryLoad(e.turnConfig(turn, server, site, "")); err != nil {
		e.t.Fatal(err)
	}
	waitFor(e.t, e.tlsReady)
}

// viewerOver makes an allocation with a channel to peer, under a shared secret.
func viewerOver(t *testing.T, conn net.Conn, secret, name string, peer netip.AddrPort) *turnClient {
	t.Helper()
	user, password := tokens.TURNCredentials([]byte(secret), name, time.Now().Add(10*time.Minute))
	c, err := allocate(conn, user, password)
	if err == nil {
		err = c.bind(peer)
	}
	if err == nil {
		err = c.ask("hello", turnWait)
	}
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return c
}

// TestAllocationsLiveThroughReloads: allocations over UDP, TLS and the HTTPS port
// relay on, without losing a datagram, while configs come that are good, change
// the policy, or fail.
func TestAllocationsLiveThroughReloads(t *testing.T) {
	e := newEdge(t)
	site := "root " + vod(t, 100) + "\n file_server\n tls internal"
	load := func(turn string, round int) {
		e.loadTURN("shared_secret north\n"+turn, fmt.Sprintf("timeouts {\n idle %dm\n }", round+1), site)
	}
	load("", 0)
	first, server, peer := turnAddr(t, "udp"), theServer(t), echoPeer(t)
	secure := &edge{t: t, addr: turnAddr(t, "tls").String()}

	var viewers []*turnClient
	for i := range *reloadUDP {
		viewers = append(viewers, viewerOver(t, dialUDP(t, first), "north", fmt.Sprintf("udp %d", i), peer))
	}
	for i := range *reloadTLS {
		conn := secure.dialTLS
		if i%2 == 0 {
			conn = e.dialTLS
		}
		viewers = append(viewers, viewerOver(t, conn(), "north", fmt.Sprintf("tls %d", i), peer))
	}

	ctx, stop := context.WithCancel(t.Context())
	var relayed atomic.Int64
	var rounds sync.WaitGroup
	lost := make(chan error, len(viewers))
	for i, v := range viewers {
		rounds.Go(func() {
			pace := time.NewTicker(50 * time.Millisecond)
			defer pace.Stop()
			for n := 0; ; n++ {
				if err := v.ask(fmt.Sprintf("%d.%d", i, n), turnWait); err != nil {
					lost <- err
					return
				}
				relayed.Add(1)
				select {
				case <-ctx.Done():
					return
				case <-pace.C:
				}
			}
		})
	}
	for round := 1; round <= *reloadTimes; round++ {
		before := relayed.Load()
		failing := ""
		switch round % 4 {
		case 1:
			load("", round)
		case 2:
			load(fmt.Sprintf("user_bandwidth %dMiB\n deny_peers 127.0.0.2", round), round)
		case 3:
			failing = e.turnConfig("shared_secret north\n total_bytes 1", "", site, "http://203.0.113.250:1 {\n bind 203.0.113.250\n}")
		case 0:
			failing = e.turnConfig("shared_secret {env.VIEWMESH_NOWHERE}", "", site, "")
		}
		if failing != "" {
			if err := e.tryLoad(failing); err == nil {
				t.Fatalf("round %d: a bad config was loaded", round)
			}
		}
		if p := server.Policy(); round%4 == 3 && (p.TotalBytes != 0 || len(p.DenyPeers) != 1) {
			t.Errorf("round %d: the policy after a failed reload: %+v", round, p)
		}
		waitFor(t, func() bool { // everybody has relayed since
			return relayed.Load() >= before+int64(2*len(viewers)) || len(lost) > 0
		})
	}
	stop()
	rounds.Wait()
	close(lost)
	for err := range lost {
		t.Error(err)
	}
	st := server.Stats()
	if st.Allocations["udp"] != int64(*reloadUDP) || st.Allocations["tls"] != int64(*reloadTLS) {
		t.Errorf("allocations %v, want %d over UDP and %d over TLS", st.Allocations, *reloadUDP, *reloadTLS)
	}
	if turnAddr(t, "udp") != first {
		t.Error("the relay listens elsewhere")
	}
	t.Logf("%d allocations relayed %d datagrams there and back over %d reloads", len(viewers), relayed.Load(), *reloadTimes)

	// What the last config says holds for what comes now.
	load("deny_peers 127.0.0.2\n user_bytes 1", 100)
	denied := netip.MustParseAddrPort("127.0.0.2:9")
	if err := viewers[0].permit(denied); !errors.Is(err, refusal(403)) {
		t.Errorf("a permission that the new policy denies: %v", err)
	}
	if err := viewers[0].ask("before the refresh", turnWait); err != nil {
		t.Errorf("an allocation from before: %v", err)
	}
	if err := viewers[0].refresh(); err != nil {
		t.Errorf("refresh: %v", err)
	}
	if err := viewers[0].ask("after the refresh", 300*time.Millisecond); err == nil {
		t.Error("the new bound does not hold after the refresh")
	}
}

// TestAReloadCutsOffWhatItDenies: channels and permissions of peers that a config denies,
// or allows no more, end when it is loaded, over each transport; those of other
// peers go on.
func TestAReloadCutsOffWhatItDenies(t *testing.T) {
	site := "root " + vod(t, 100) + "\n file_server\n tls internal"
	peers := map[string]netip.AddrPort{}
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"} {
		peers[host] = echoPeerAt(t, host)
	}
	for _, next := range []struct{ name, policy string }{
		{"denied", "allow_peers 127.0.0.0/8\n deny_peers 127.0.0.2/31"},
		{"denied by several", "allow_peers 127.0.0.0/8\n deny_peers 127.0.0.2 127.0.0.3"},
		{"allowed no more", "allow_peers 127.0.0.1"},
	} {
		t.Run(next.name, func(t *testing.T) {
			e := newEdge(t)
			config := func(policy string) string {
				return strings.Replace(e.turnConfig("shared_secret north", "", site, ""), "allow_peers 127.0.0.0/8", policy, 1)
			}
			if err := e.tryLoad(config("allow_peers 127.0.0.0/8")); err != nil {
				t.Fatal(err)
			}
			waitFor(t, e.tlsReady)
			secure := &edge{t: t, addr: turnAddr(t, "tls").String()}
			viewers := map[string]*turnClient{}
			for host, at := range peers {
				viewers["udp "+host] = viewerOver(t, dialUDP(t, turnAddr(t, "udp")), "north", "udp "+host, at)
				viewers["tls "+host] = viewerOver(t, secure.dialTLS(), "north", "tls "+host, at)
				viewers["site "+host] = viewerOver(t, e.dialTLS(), "north", "site "+host, at)
			}
			if err := e.tryLoad(config(next.policy)); err != nil {
				t.Fatal(err)
			}
			before := theServer(t).Stats()
			for name, v := range viewers {
				good := strings.HasSuffix(name, ".1")
				wait := 300 * time.Millisecond
				if good {
					wait = turnWait
				}
				if err := v.ask("after the reload", wait); (err == nil) != good {
					t.Errorf("%s: %v", name, err)
				}
			}
			if n := theServer(t).Stats().Drops["permission"] - before.Drops["permission"]; n != 6 {
				t.Errorf("%d datagrams dropped, want one of each of six viewers", n)
			}
		})
	}
}

// TestTURNTakesTheCertificateOfTheDay: a certificate that comes with another config is
// used by the tls listener at once, whose socket and connections stay.
func TestTURNTakesTheCertificateOfTheDay(t *testing.T) {
	e := newEdge(t)
	dir := vod(t, 100)
	serial := func(c *tls.Conn) int64 { return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64() }
	load := func(serial int64) {
		cert, key := certificateFiles(t, &x509.Certificate{SerialNumber: big.NewInt(serial), DNSNames: []string{"localhost"},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
		e.loadTURN("", "", "root "+dir+"\n file_server\n tls "+cert+" "+key)
	}
	load(2)
	at := &edge{t: t, addr: turnAddr(t, "tls").String()}
	c := at.dialTLS(alpnTURN)
	if p := c.ConnectionState().NegotiatedProtocol; p != alpnTURN {
		t.Errorf("the tls listener speaks %q", p)
	}
	bindingOver(t, c)
	load(3)
	if now := turnAddr(t, "tls").String(); now != at.addr {
		t.Fatalf("the tls listener moved from %s to %s", at.addr, now)
	}
	if before, now := serial(c), serial(at.dialTLS()); before != 2 || now != 3 {
		t.Errorf("certificates %d and, after the reload, %d", before, now)
	}
	bindingOver(t, c)
}

// TestTURNTakesRenewedCertificates: what Caddy renews by itself is used by the tls
// listener, without a reload.
func TestTURNTakesRenewedCertificates(t *testing.T) {
	e := newEdge(t)
	site := "root " + vod(t, 100) + "\n file_server\n tls {\n issuer internal {\n lifetime 4s\n }\n }"
	config := e.turnConfig("", "", site, "")
	if err := e.tryLoad(strings.Replace(config, "{", "{\n renew_interval 500ms\n", 1)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, e.tlsReady)
	at := &edge{t: t, addr: turnAddr(t, "tls").String()}
	serial := func() string { return at.dialTLS().ConnectionState().PeerCertificates[0].SerialNumber.String() }
	first := serial()
	for deadline := time.Now().Add(20 * time.Second); serial() == first; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("still the first certificate, which has expired")
		}
	}
}

// TestReloadKeepsSTUN: the STUN server's socket lives through reloads for as long as
// its address is in the config.
func TestReloadKeepsSTUN(t *testing.T) {
	dir := vod(t, 100)
	e := newEdge(t)
	site := "mesh\n root " + dir + "\n file_server"
	global := func(listen, policy string) string {
		return "mesh {\n turn {\n listen " + listen + "\n relay_address 127.0.0.1\n" + policy + "\n }\n }"
	}
	e.load(global("udp/127.0.0.1:0", ""), site)
	first := stunAddress(t, e)
	server := theServer(t)
	binding(t, first)
	e.load(global("udp/127.0.0.1:0", "allow_peers 127.0.0.0/8\n user_bandwidth 1MiB"), site)
	if now := stunAddress(t, e); now != first {
		t.Errorf("STUN moved from %s to %s", first, now)
	}
	binding(t, first)
	if p := server.Policy(); p.UserBandwidth != 1<<20 || len(p.AllowPeers) != 1 {
		t.Errorf("the policy after the reload: %+v", p)
	}
	if err := e.tryLoad(e.caddyfile(global("udp/127.0.0.1:0", "user_bandwidth 3MiB"), site+"\n}\nhttp://203.0.113.250:1 {\n bind 203.0.113.250")); err == nil {
		t.Fatal("a config that cannot start was loaded")
	}
	if p := server.Policy(); p.UserBandwidth != 1<<20 {
		t.Errorf("the policy after a failed reload: %+v", p)
	}
	e.load(global("udp/127.0.0.1:0 tcp/127.0.0.1:0", ""), site)
	if now := stunAddress(t, e); now != first {
		t.Errorf("STUN moved from %s to %s as another listener came", first, now)
	}
	e.load(global("tcp/127.0.0.1:0", ""), site)
	waitFor(t, func() bool { // nothing is allocated there
		conn, err := net.ListenPacket("udp4", first)
		if err == nil {
			conn.Close()
		}
		return err == nil
	})
}

// stunAddress is the address of the first STUN server of a session.
func stunAddress(t *testing.T, e *edge) string {
	t.Helper()
	a := e.openSession("/vod/index.m3u8")
	if len(a.ICEServers) == 0 {
		t.Fatal("no ICE servers")
	}
	return strings.TrimPrefix(a.ICEServers[0].URLs[0], "stun:")
}

// binding sends a Binding request (RFC 8489) and wants a success response.
func binding(t *testing.T, addr string) {
	t.Helper()
	c, err := net.Dial("udp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	request := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, "transaction!"...)
	if _, err := c.Write(request); err != nil {
		t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
	b := make([]byte, 1500)
	n, err := c.Read(b)
	if err != nil || n < 20 || b[0] != 1 || b[1] != 1 || string(b[8:20]) != "transaction!" {
		t.Fatalf("binding response of %d bytes from %s: %v", n, addr, err)
	}
}
