package turn_test

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

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
