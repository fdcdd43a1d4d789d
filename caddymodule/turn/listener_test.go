package turn_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/internal/program"
)

// tlsOptions are the global options for HTTPS sites at localhost.
func (e *edge) tlsOptions() string {
	return fmt.Sprintf("admin off\npersist_config off\nskip_install_trust\ndefault_sni localhost\nauto_https disable_redirects\n"+
		"grace_period 1s\nstorage file_system %s\nlog {\n output discard\n}\n", e.storage)
}

// loadTLS loads an HTTPS site at localhost with mesh, a relay and the listener
// wrapper; more goes into the server options.
func (e *edge) loadTLS(directives, more string) {
	e.t.Helper()
	_, port, _ := net.SplitHostPort(e.addr)
	config := fmt.Sprintf(`{
		%s
		mesh {
			turn {
				listen udp/127.0.0.1:0
				relay_address 127.0.0.1
				allow_peers 127.0.0.0/8
				shared_secret north
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
		tls internal {
			alpn stun.turn h2 http/1.1
		}
		%s
	}`, e.tlsOptions(), more, port, directives)
	if err := e.tryLoad(config); err != nil {
		e.t.Fatal(err)
	}
	waitFor(e.t, e.tlsReady)
}

// tlsReady says whether the internal issuer, which takes a moment, is done.
func (e *edge) tlsReady() bool {
	c, err := tls.Dial("tcp", e.addr, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true})
	if err == nil {
		c.Close()
	}
	return err == nil
}

// dialTLS opens a TLS connection that offers protocols in ALPN.
func (e *edge) dialTLS(protocols ...string) *tls.Conn {
	e.t.Helper()
	var c *tls.Conn
	var err error
	for range 3 { // see try
		c, err = tls.Dial("tcp", e.addr, &tls.Config{ServerName: "localhost", InsecureSkipVerify: true, NextProtos: protocols})
		if err == nil {
			break
		}
	}
	if err != nil {
		e.t.Fatal(err)
	}
	e.t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// bindingOver sends a Binding request over a stream and wants a response.
func bindingOver(t *testing.T, c net.Conn) {
	t.Helper()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	if _, err := c.Write(append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, "transaction!"...)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 20)
	if _, err := io.ReadFull(c, b); err != nil || b[0] != 1 || b[1] != 1 || string(b[8:]) != "transaction!" {
		t.Fatalf("answer to Binding: %x (%v)", b, err)
	}
	if _, err := io.CopyN(io.Discard, c, int64(b[2])<<8|int64(b[3])); err != nil {
		t.Fatal(err)
	}
}

// TestOnePort: HTTP/1.1, HTTP/2, WebSockets and TURN live on one port, each with
// and without ALPN where it can be.
func TestOnePort(t *testing.T) {
	dir := vod(t, 200_000)
	e := newEdge(t)
	e.loadTLS("mesh\n root "+dir+"\n file_server", "")
	_, port, _ := net.SplitHostPort(e.addr)
	base := "https://localhost:" + port

	for _, c := range []struct {
		name, proto string
		transport   *http.Transport
	}{
		{"h2", "HTTP/2.0", &http.Transport{ForceAttemptHTTP2: true}},
		{"h1 by ALPN", "HTTP/1.1", &http.Transport{TLSNextProto: map[string]func(string, *tls.Conn) http.RoundTripper{}}},
	} {
		c.transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: true}
		if c.proto == "HTTP/1.1" {
			c.transport.TLSClientConfig.NextProtos = []string{"http/1.1"}
		}
		client := &http.Client{Transport: c.transport, Timeout: 10 * time.Second}
		resp, err := client.Get(base + "/vod/v0/seg-0.m4s")
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || n != 200_000 || resp.Proto != c.proto {
			t.Errorf("%s: %s, %d bytes, %v", c.name, resp.Proto, n, err)
		}
		client.CloseIdleConnections()
	}
	for _, protocols := range [][]string{nil, {"http/1.1"}} {
		h := e.dialTLS(protocols...)
		fmt.Fprintf(h, "GET /vod/index.m3u8 HTTP/1.1\r\nHost: localhost:%s\r\nConnection: close\r\n\r\n", port)
		if b, err := io.ReadAll(h); err != nil || !strings.HasPrefix(string(b), "HTTP/1.1 200") || !strings.Contains(string(b), headerBootstrap) {
			t.Errorf("raw HTTP with ALPN %v: %.100s (%v)", protocols, b, err)
		}
	}
	for _, protocols := range [][]string{nil, {alpnTURN}} {
		c := e.dialTLS(protocols...)
		bindingOver(t, c)
		bindingOver(t, c)
	}
	plain, err := net.Dial("tcp", e.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer plain.Close()
	_ = plain.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(plain, "GET / HTTP/1.0\r\n\r\n")
	if b, _ := io.ReadAll(plain); !strings.Contains(string(b), "HTTP request to an HTTPS server") {
		t.Errorf("plain HTTP gets %q", b)
	}

	e.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	e.base = base
	a := e.openSession("/vod/index.m3u8")
	if urls := fmt.Sprint(a.ICEServers); !strings.Contains(urls, "turns:localhost:"+port+"?transport=tcp") {
		t.Errorf("the session names no TURN on this port: %s", urls)
	}
	dialer := websocket.Dialer{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}}
	join(t, &dialer, "wss://localhost:"+port+"/mesh/signal", a)
}

// TestOnlySharedPortsAreNamed: a session names TURN on the port that it was opened
// on only where the listener of that port serves it.
func TestOnlySharedPortsAreNamed(t *testing.T) {
	e := newEdge(t)
	other := &edge{t: t, addr: freeport.Addr(t)}
	dir := vod(t, 100)
	_, port, _ := net.SplitHostPort(e.addr)
	_, otherPort, _ := net.SplitHostPort(other.addr)
	site := "\nhttps://localhost:%s {\n bind 127.0.0.1\n tls internal\n mesh\n root " + dir + "\n file_server\n}"
	config := e.turnConfig("", "", "tls internal", "")
	config = strings.Replace(config, "servers {", "servers 127.0.0.1:"+port+" {", 1)
	config = config[:strings.Index(config, "\n\thttps://")] + fmt.Sprintf(site, port) + fmt.Sprintf(site, otherPort)
	if err := e.tryLoad(config); err != nil {
		t.Fatal(err)
	}
	for at, want := range map[*edge]bool{e: true, other: false} {
		waitFor(t, at.tlsReady)
		_, p, _ := net.SplitHostPort(at.addr)
		at.base = "https://localhost:" + p
		at.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
		servers := fmt.Sprint(at.openSession("/vod/index.m3u8").ICEServers)
		if got := strings.Contains(servers, "turns:localhost:"+p+"?"); got != want {
			t.Errorf("port shared: %v; the session names %s", want, servers)
		}
		at.client.CloseIdleConnections()
	}
}

// TestTURNOverTLSLivesThroughReloads: connections over TLS, and sockets over UDP,
// answer before, during and after 20 reloads, good and failed.
func TestTURNOverTLSLivesThroughReloads(t *testing.T) {
	dir := vod(t, 100)
	e := newEdge(t)
	site := "mesh\n root " + dir + "\n file_server"
	e.loadTLS(site, "")
	var conns []net.Conn
	for i := range 20 {
		if i%2 == 0 {
			conns = append(conns, e.dialTLS())
		} else {
			conns = append(conns, e.dialTLS(alpnTURN))
		}
	}
	udp := turnAddr(t, "udp").String()
	for i := range 20 {
		for _, c := range conns {
			bindingOver(t, c)
		}
		binding(t, udp)
		if i%3 == 2 {
			if err := e.tryLoad(e.caddyfile("mesh {\n stun off\n keys_file /nowhere\n}", site)); err == nil {
				t.Fatal("a bad config was loaded")
			}
			continue
		}
		e.loadTLS(site, fmt.Sprintf("timeouts {\n idle %dm\n }", i+1))
	}
	if n := theServer(t).Stats().Conns["tls"]; n != int64(len(conns)) {
		t.Errorf("%d TLS connections at the relay, want %d", n, len(conns))
	}
}

// TestCoturnOverHTTPSPort relays with coturn's client through the HTTPS port.
func TestCoturnOverHTTPSPort(t *testing.T) {
	uclient := program.Need(t, "relays as clients do", "coturn", "turnutils_uclient")
	for _, order := range []string{"mesh_turn", "mesh_turn\n tls\n mesh_turn"} {
		t.Run(order, func(t *testing.T) { coturnOverHTTPSPort(t, uclient, order) })
	}
}

// coturnOverHTTPSPort tries it with the listener wrappers in an order.
func coturnOverHTTPSPort(t *testing.T, uclient, order string) {
	e := newEdge(t)
	config := e.turnConfig("shared_secret north", "", "root "+vod(t, 200_000)+"\n file_server\n tls internal {\n alpn stun.turn h2 http/1.1\n }", "")
	if err := e.tryLoad(strings.Replace(config, "\tmesh_turn\n", order+"\n", 1)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, e.tlsReady)
	_, port, _ := net.SplitHostPort(e.addr)
	client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	defer client.CloseIdleConnections()
	resp, err := client.Get("https://localhost:" + port + "/vod/v0/seg-0.m4s")
	if err != nil {
		t.Fatal(err)
	}
	if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != 200_000 || resp.Proto != "HTTP/2.0" {
		t.Errorf("%s: %d bytes, %v", resp.Proto, n, err)
	}
	resp.Body.Close()
	cert, key := clientCertificate(t)
	out, err := exec.CommandContext(t.Context(), uclient, "-n", "20", "-m", "2", "-l", "500", "-z", "5", "-t", "-S", "-i", cert, "-k", key,
		"-c", "-y", "-u", "viewer", "-W", "north", "-p", port, "127.0.0.1").CombinedOutput()
	lost := regexp.MustCompile(`Total lost packets (\d+)`).FindSubmatch(out)
	sums := regexp.MustCompile(`tot_send_msgs=(\d+), tot_recv_msgs=(\d+)`).FindAllSubmatch(out, -1)
	if err != nil || lost == nil || len(sums) == 0 || string(lost[1]) != "0" || string(sums[len(sums)-1][1]) == "0" ||
		string(sums[len(sums)-1][1]) != string(sums[len(sums)-1][2]) {
		t.Errorf("coturn's client: %v\n%s", err, out)
	}
}

// clientCertificate writes the certificate and key that coturn's client wants of
// its own.
func clientCertificate(t *testing.T) (cert, key string) {
	t.Helper()
	return certificateFiles(t, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)})
}

// certificateFiles signs a certificate with a key of its own and writes both.
func certificateFiles(t *testing.T, template *x509.Certificate) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for name, block := range map[string]*pem.Block{"cert": {Type: "CERTIFICATE", Bytes: der}, "key": {Type: "PRIVATE KEY", Bytes: pkcs8}} {
		if err := os.WriteFile(filepath.Join(dir, name), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "cert"), filepath.Join(dir, "key")
}
