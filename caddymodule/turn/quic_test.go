package turn_test

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go/http3"

	"github.com/viewmesh/viewmesh/tokens"
)

// TestBesideHTTP3: TURN over UDP lives on the port of HTTP/3, with allocations whose
// channels look like QUIC, and sessions are told of it.
func TestBesideHTTP3(t *testing.T) {
	e := newEdge(t)
	site := "root " + vod(t, 200_000) + "\n file_server\n tls internal"
	config := e.turnConfig("shared_secret north", "packet_conn_wrappers {\n mesh_turn\n }", site, "")
	if err := e.tryLoad(config); err != nil {
		t.Fatal(err)
	}
	waitFor(t, e.tlsReady)
	port := portOf(e.addr)
	transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}}
	defer transport.Close()
	client := &http.Client{Transport: transport, Timeout: 10 * time.Second}
	get := func() {
		t.Helper()
		resp, err := client.Get("https://127.0.0.1:" + port + "/vod/v0/seg-0.m4s")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || resp.Proto != "HTTP/3.0" {
			t.Errorf("%s, %d bytes, %v", resp.Proto, n, err)
		}
	}
	req, _ := http.NewRequest(http.MethodGet, "https://127.0.0.1:"+port+"/vod/v0/seg-0.m4s", nil)
	req.Host = "localhost:" + port
	if resp, err := client.Do(req); err != nil {
		t.Fatal(err)
	} else {
		n, err := io.Copy(io.Discard, resp.Body)
		resp.Body.Close()
		if err != nil || resp.Proto != "HTTP/3.0" || n != 200_000 {
			t.Errorf("%s, %d bytes, %v", resp.Proto, n, err)
		}
	}
	udp := dialUDP(t, netip.MustParseAddrPort(e.addr))
	peer := echoPeer(t)
	viewer := viewerOver(t, udp, "north", "viewer", peer)
	for range 100 {
		if err := viewer.ask("over the port of HTTP/3", turnWait); err != nil {
			t.Fatal(err)
		}
	}
	get()
	if list := theServer(t).Allocations(); len(list) != 1 || list[0].Listener != "shared/:"+port || list[0].Transport != "udp" {
		t.Errorf("allocations %+v", list)
	}
	e.base = "https://localhost:" + port
	e.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	told := ""
	for _, s := range e.openSession("/vod/index.m3u8").ICEServers {
		told += strings.Join(s.URLs, " ") + " "
	}
	if !strings.Contains(told, "turn:127.0.0.1:"+port+"?transport=udp") {
		t.Errorf("viewers are told of %s", told)
	}
	if err := e.tryLoad(strings.Replace(config, "file_server", "header X-New yes\n file_server", 1)); err != nil {
		t.Fatal(err)
	}
	if err := viewer.ask("after a reload", turnWait); err != nil {
		t.Error(err)
	}
	user, password := tokens.TURNCredentials([]byte("north"), "another", time.Now().Add(time.Minute))
	if _, err := allocate(dialUDP(t, netip.MustParseAddrPort(e.addr)), user, password); err != nil {
		t.Error(err)
	}
	e.client.CloseIdleConnections()
}

// TestBesideHTTP3OnEveryAddress: both answer from the address that was asked.
func TestBesideHTTP3OnEveryAddress(t *testing.T) {
	e := newEdge(t)
	config := e.turnConfig("shared_secret north", "packet_conn_wrappers {\n mesh_turn\n }", "root "+vod(t, 200_000)+"\n file_server\n tls internal", "")
	if err := e.tryLoad(strings.Replace(config, "bind 127.0.0.1\n", "\n", 1)); err != nil {
		t.Fatal(err)
	}
	waitFor(t, e.tlsReady)
	port, peer := portOf(e.addr), echoPeer(t)
	for _, host := range []string{"127.0.0.1", "127.0.0.2", "[::1]"} {
		at := netip.MustParseAddrPort(host + ":" + port)
		binding(t, at.String())
		viewer := viewerOver(t, dialUDP(t, at), "north", "viewer at "+host, peer)
		for range 20 {
			if err := viewer.ask("over the port of HTTP/3", turnWait); err != nil {
				t.Fatalf("%s: %v", host, err)
			}
		}
		transport := &http3.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true, ServerName: "localhost"}}
		req, _ := http.NewRequest(http.MethodGet, "https://"+at.String()+"/vod/v0/seg-0.m4s", nil)
		req.Host = "localhost:" + port
		resp, err := (&http.Client{Transport: transport, Timeout: 10 * time.Second}).Do(req)
		if err != nil {
			t.Fatalf("%s: %v", host, err)
		}
		if n, err := io.Copy(io.Discard, resp.Body); err != nil || n != 200_000 {
			t.Errorf("%s: %d bytes, %v", host, n, err)
		}
		resp.Body.Close()
		transport.Close()
	}
}

// TestUDPOnThePortOfHTTP3: a listener that would share HTTP/3's datagrams by chance is an
// error that says what to write, at the start and in a reload.
func TestUDPOnThePortOfHTTP3(t *testing.T) {
	e := newEdge(t)
	config := func(listen, server string) string {
		c := e.turnConfig("", server, "root "+vod(t, 100)+"\n file_server\n tls internal", "")
		return strings.Replace(c, "listen udp/127.0.0.1:0", "listen "+listen, 1)
	}
	port := portOf(e.addr)
	for _, listen := range []string{"udp/:" + port, "udp/127.0.0.1:" + port, "udp/:" + port} {
		if err := e.tryLoad(config(listen, "")); err == nil || !strings.Contains(err.Error(), "packet_conn_wrappers { mesh_turn }") {
			t.Errorf("%s: %v", listen, err)
		}
		if err := e.tryLoad(config("udp/127.0.0.1:0", "")); err != nil { // and then in a reload
			t.Fatal(err)
		}
	}
	for listen, server := range map[string]string{"udp/127.0.0.2:" + port: "", "udp/:" + port: "protocols h1 h2"} {
		if err := e.tryLoad(config(listen, server)); err != nil {
			t.Errorf("%s beside %q: %v", listen, server, err)
		}
	}
}
