package turnserver

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"fmt"
	"math/big"
	"net"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/pion/turn/v2"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if serve := benchServe; serve != nil && os.Getenv("VIEWMESH_BENCH_SERVE") != "" {
		serve()
		return
	}
	// pion's client leaves its own goroutine behind where it is closed while it binds a
	// channel, which it does at its first datagram to a peer.
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/pion/turn/v2/internal/client.(*UDPConn).bind"))
}

// benchServe is the main function of the benchmark's server, where there is one.
var benchServe func()

var (
	secret   = []byte("north")
	loopback = netip.MustParseAddr("127.0.0.1")
)

// openPolicy relays to the loopback network, which the tests' peers are on.
func openPolicy() Policy {
	return Policy{
		RelayEnabled: true,
		Secrets:      [][]byte{secret},
		AllowPeers:   prefixes("127.0.0.0/8"),
		UnauthRate:   -1,
	}
}

// start makes a server that relays on loopback; change may alter its config.
func start(t testing.TB, change func(*Config)) *Server {
	t.Helper()
	cfg := Config{Realm: "example.org", RelayAddress: loopback, RelayBind: loopback, Policy: openPolicy()}
	if change != nil {
		change(&cfg)
	}
	s, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// mint makes REST credentials that are good for d.
func mint(secret []byte, user string, d time.Duration) (username, password string) {
	username = fmt.Sprintf("%d:%s", time.Now().Add(d).Unix(), user)
	mac := hmac.New(sha1.New, secret)
	mac.Write([]byte(username))
	return username, base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// listen makes s listen for t on a port of loopback.
func listen(t testing.TB, s *Server, tr Transport) net.Addr {
	t.Helper()
	var addr net.Addr
	var err error
	switch tr {
	case UDP:
		addr, err = s.ListenUDP("127.0.0.1:0", 1)
	case TCP:
		addr, err = s.ListenTCP("127.0.0.1:0")
	case TLS:
		cfg := serverTLS(t)
		addr, err = s.ListenTLS("127.0.0.1:0", func() *tls.Config { return cfg })
	}
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// dial opens what a client of the transport talks to the server over.
func dial(t testing.TB, tr Transport, server net.Addr) net.PacketConn {
	t.Helper()
	var conn net.PacketConn
	switch tr {
	case UDP:
		c, err := net.ListenPacket("udp4", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		conn = c
	default:
		conn = turn.NewSTUNConn(dialStream(t, tr, server))
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func dialStream(t testing.TB, tr Transport, server net.Addr) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", server.String())
	if err != nil {
		t.Fatal(err)
	}
	if tr == TLS {
		c = tls.Client(c, &tls.Config{InsecureSkipVerify: true})
	}
	return c
}

// client makes pion's TURN client for user.
func client(t testing.TB, tr Transport, server net.Addr, user string) *turn.Client {
	t.Helper()
	username, password := mint(secret, user, time.Minute)
	return clientAs(t, dial(t, tr, server), server, username, password)
}

func clientAs(t testing.TB, conn net.PacketConn, server net.Addr, username, password string) *turn.Client {
	t.Helper()
	c, err := turn.NewClient(&turn.ClientConfig{
		STUNServerAddr: server.String(), TURNServerAddr: server.String(), Conn: conn,
		Username: username, Password: password, LoggerFactory: silent{},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Listen(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// allocate makes an allocation.
func allocate(t testing.TB, c *turn.Client) net.PacketConn {
	t.Helper()
	relay, err := c.Allocate()
	if err != nil {
		t.Fatalf("allocate: %v", err)
	}
	t.Cleanup(func() { _ = relay.Close() })
	return relay
}

// echo is a peer that sends back what it gets.
func echo(t testing.TB) net.Addr {
	t.Helper()
	conn, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.(*net.UDPConn).SetReadBuffer(socketBuffer) // many tests' clients share one peer
	done := make(chan struct{})
	go func() {
		defer close(done)
		buf := make([]byte, 4096)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = conn.WriteTo(buf[:n], from)
		}
	}()
	t.Cleanup(func() { _ = conn.Close(); <-done })
	return conn.LocalAddr()
}

// roundTrip sends msg to peer over relay and waits for it to come back.
func roundTrip(t testing.TB, relay net.PacketConn, peer net.Addr, msg string) {
	t.Helper()
	buf := make([]byte, 4096)
	if _, err := relay.WriteTo([]byte(msg), peer); err != nil {
		t.Fatalf("write to the peer: %v", err)
	}
	_ = relay.SetReadDeadline(time.Now().Add(5 * time.Second))
	n, from, err := relay.ReadFrom(buf)
	if err != nil {
		t.Fatalf("read from the peer: %v", err)
	}
	if string(buf[:n]) != msg || from.String() != peer.String() {
		t.Fatalf("got %q from %v, want %q from %v", buf[:n], from, msg, peer)
	}
}

// eventually waits for a condition that has no event to wait for.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-ctx.Done():
			t.Fatalf("not within 10 s: %s", what)
		case <-tick.C:
		}
	}
}

func serverTLS(t testing.TB) *tls.Config {
	t.Helper()
	cert, key := keyPair(t)
	return &tls.Config{MinVersion: tls.VersionTLS10, // coturn's client tries them all
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: key}}}
}

func keyPair(t testing.TB) (der []byte, key *ecdsa.PrivateKey) {
	t.Helper()
	der, key, err := newKeyPair()
	if err != nil {
		t.Fatal(err)
	}
	return der, key
}

func newKeyPair() (der []byte, key *ecdsa.PrivateKey, err error) {
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "turn.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	return der, key, err
}
