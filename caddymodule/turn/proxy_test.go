package turn_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/binary"
	"fmt"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/tokens"
)

// proxyHeaders are PROXY headers, by what they say.
var proxyHeaders = map[string]string{
	"v1 TCP4":    "PROXY TCP4 198.51.100.7 192.0.2.1 5000 3478\r\n",
	"v1 UNKNOWN": "PROXY UNKNOWN\r\n",
	"v2 TCP4":    proxyV2(0x21, 0x11, []byte{198, 51, 100, 7, 192, 0, 2, 1, 0x13, 0x88, 0x0d, 0x96}),
	"v2 LOCAL":   proxyV2(0x20, 0x00, nil),
	"v2 UNIX":    proxyV2(0x21, 0x31, make([]byte, 216)),
}

func proxyV2(command, family byte, addresses []byte) string {
	b := append([]byte("\r\n\r\n\x00\r\nQUIT\n"), command, family)
	b = binary.BigEndian.AppendUint16(b, uint16(len(addresses)))
	return string(append(b, addresses...))
}

// TestProxyProtocol: tcp and tls listeners, and the site's port, serve clients behind a
// proxy, whatever its header says of them.
func TestProxyProtocol(t *testing.T) {
	e := newEdge(t)
	config := e.turnConfig("shared_secret north\n listen tcp/127.0.0.1:0\n proxy_protocol {\n allow 127.0.0.0/8\n }", "", "root "+vod(t, 100)+"\n file_server\n tls internal", "")
	config = strings.Replace(config, "listener_wrappers {", "listener_wrappers {\n proxy_protocol {\n allow 127.0.0.0/8\n }\n tls", 1)
	if err := e.tryLoad(config); err != nil {
		t.Fatal(err)
	}
	waitFor(t, e.tlsReady)
	for name, header := range proxyHeaders {
		for at, addr := range map[string]string{"tcp": turnAddr(t, "tcp").String(), "tls": turnAddr(t, "tls").String(), "site": e.addr} {
			t.Run(name+" "+at, func(t *testing.T) {
				conn, err := net.Dial("tcp", addr)
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				if _, err := conn.Write([]byte(header)); err != nil {
					t.Fatal(err)
				}
				if at != "tcp" {
					conn = tls.Client(conn, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true})
				}
				_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
				user, password := tokens.TURNCredentials([]byte("north"), "viewer", time.Now().Add(time.Minute))
				if _, err := allocate(conn, user, password); err != nil {
					t.Fatal(err)
				}
				client := ""
				for _, a := range theServer(t).Allocations() {
					client = a.Client.Addr().String()
				}
				if want := strings.Contains(name, "TCP4"); (client == "198.51.100.7") != want {
					t.Errorf("the relay takes the client for %s", client)
				}
				conn.Close()
				waitFor(t, func() bool { return len(theServer(t).Allocations()) == 0 })
			})
		}
	}
}

// TestTLSListenersFollowTheSites: a tls listener has the certificate that the sites'
// connection policies choose, also for a client that names nobody.
func TestTLSListenersFollowTheSites(t *testing.T) {
	e := newEdge(t)
	if err := e.tryLoad(e.turnConfig("", "", "root "+vod(t, 100)+"\n file_server\n tls internal", "")); err != nil {
		t.Fatal(err)
	}
	waitFor(t, e.tlsReady)
	c, err := tls.Dial("tcp", turnAddr(t, "tls").String(), &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpnTURN}})
	if err != nil {
		t.Fatalf("without a server name: %v", err)
	}
	defer c.Close()
	if names := fmt.Sprint(c.ConnectionState().PeerCertificates[0].DNSNames); names != "[localhost]" {
		t.Errorf("the certificate is for %s, want default_sni", names)
	}
	if p := c.ConnectionState().NegotiatedProtocol; p != alpnTURN {
		t.Errorf("ALPN chose %q", p)
	}
	bindingOver(t, c)
}

// TestTLSListenersFollowPolicies: what sites ask of TLS holds for the tls listener too: the
// certificate by name, protocol versions and client certificates, of each of several
// servers, and of the next config at once.
func TestTLSListenersFollowPolicies(t *testing.T) {
	e := newEdge(t)
	dir := vod(t, 100)
	serial := func(n int64, name string) string {
		cert, key := certificateFiles(t, &x509.Certificate{SerialNumber: big.NewInt(n), DNSNames: []string{name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)})
		return cert + " " + key
	}
	other := freeport.Addr(t)
	site := func(name, addr, tls string) string {
		return fmt.Sprintf("https://%s:%s {\n bind 127.0.0.1\n tls %s\n root %s\n file_server\n}\n", name, portOf(addr), tls, dir)
	}
	load := func(second string) {
		config := e.turnConfig("", "", "root "+dir+"\n file_server\n tls "+serial(1, "localhost"), site("modern.example", e.addr, serial(2, "modern.example")+" {\n protocols tls1.3\n }")+
			site("elsewhere.example", other, serial(3, "elsewhere.example"))+site("closed.example", e.addr, serial(4, "closed.example")+" {\n client_auth {\n mode require\n }\n }")+
			second)
		if err := e.tryLoad(config); err != nil {
			t.Fatal(err)
		}
	}
	// ask returns the serial number of the certificate, or 0 where there is no answer.
	ask := func(name string, most uint16) int64 {
		c, err := tls.Dial("tcp", turnAddr(t, "tls").String(), &tls.Config{ServerName: name, InsecureSkipVerify: true, MaxVersion: most})
		if err != nil {
			return 0
		}
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(10 * time.Second))
		if _, err := c.Write(append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, "transaction!"...)); err != nil {
			return 0
		}
		if _, err := c.Read(make([]byte, 100)); err != nil {
			return 0
		}
		return c.ConnectionState().PeerCertificates[0].SerialNumber.Int64()
	}
	load("")
	for _, c := range []struct {
		name string
		most uint16
		want int64
	}{
		{"", 0, 1}, // default_sni
		{"localhost", tls.VersionTLS12, 1}, {"localhost", 0, 1},
		{"modern.example", tls.VersionTLS12, 0}, {"modern.example", 0, 2},
		{"elsewhere.example", tls.VersionTLS12, 3},
		{"closed.example", tls.VersionTLS12, 0}, {"closed.example", 0, 0},
		{"late.example", 0, 0},
	} {
		if got := ask(c.name, c.most); got != c.want {
			t.Errorf("%q, up to version %#x: certificate %d, want %d", c.name, c.most, got, c.want)
		}
	}
	load(site("late.example", other, serial(5, "late.example")))
	if got := ask("late.example", 0); got != 5 {
		t.Errorf("a site of the next config: certificate %d, want 5", got)
	}
}

// TestSilentConnections: as many silent connections of one source as there may be leave
// TURN and HTTP on the site's port to others.
func TestSilentConnections(t *testing.T) {
	e := newEdge(t)
	e.loadTLS("mesh\n root "+vod(t, 100)+"\n file_server", "")
	port := portOf(e.addr)
	for range 1100 {
		conn, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
	}
	dialer := &net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}, Timeout: 5 * time.Second}
	for _, protocols := range [][]string{nil, {"stun.turn"}} {
		c, err := tls.DialWithDialer(dialer, "tcp", "127.0.0.1:"+port, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, NextProtos: protocols})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		bindingOver(t, c)
	}
	h := e.dialTLS("http/1.1")
	fmt.Fprintf(h, "GET /vod/index.m3u8 HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n\r\n", port)
	b := make([]byte, 12)
	if _, err := h.Read(b); err != nil || string(b) != "HTTP/1.1 200" {
		t.Errorf("HTTP of the same source: %q (%v)", b, err)
	}
}
