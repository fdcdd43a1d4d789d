package turn_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/internal/program"
)

// TestTURNOverTLS: the tls listener serves with Caddy's certificates, of whichever
// config runs, and its connections live through reloads.
func TestTURNOverTLS(t *testing.T) {
	dir := vod(t, 100)
	e := newEdge(t)
	_, port, _ := net.SplitHostPort(e.addr)
	config := func(more string) string {
		return fmt.Sprintf(`{
			%s
			mesh {
				turn {
					listen tls/127.0.0.1:0 udp/127.0.0.1:0
					relay_address 127.0.0.1
				}
			}
		}
		https://localhost:%s {
			bind 127.0.0.1
			tls internal
			mesh
			%s
			root %s
			file_server
		}`, e.tlsOptions(), port, more, dir)
	}
	if err := e.tryLoad(config("")); err != nil {
		t.Fatal(err)
	}
	at := &edge{t: t, addr: turnAddr(t, "tls").String()}
	waitFor(t, at.tlsReady)
	c := at.dialTLS()
	bindingOver(t, c)
	if err := e.tryLoad(config("header X-New yes")); err != nil {
		t.Fatal(err)
	}
	e.base = "https://localhost:" + port
	e.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}, Timeout: 10 * time.Second}
	waitFor(t, func() bool { resp, _ := e.get("/vod/index.m3u8"); return resp.Header.Get("X-New") == "yes" })
	bindingOver(t, c)
	bindingOver(t, at.dialTLS())
	ice := e.openSession("/vod/index.m3u8").ICEServers
	want := fmt.Sprintf("turns:localhost:%s?transport=tcp", portOf(at.addr))
	if len(ice) != 2 || ice[1].URLs[0] != want {
		t.Errorf("ICE servers %+v, want %s", ice, want)
	}
}

// TestTURNMetrics: what the relay counts is in the metrics of each config.
func TestTURNMetrics(t *testing.T) {
	dir := vod(t, 100)
	e := newEdge(t)
	uclient := program.Need(t, "relays as clients do", "coturn", "turnutils_uclient")
	global := "mesh {\n turn {\n listen udp/127.0.0.1:0\n relay_address 127.0.0.1\n allow_peers 127.0.0.0/8\n shared_secret north\n }\n }"
	site := "mesh\n metrics /metrics\n root " + dir + "\n file_server"
	e.load(global, site)
	e.load(global, site)
	_, port, _ := net.SplitHostPort(turnAddr(t, "udp").String())
	out, err := exec.CommandContext(t.Context(), uclient, "-n", "5", "-m", "2", "-l", "500", "-z", "5", "-c", "-y", "-u", "somebody", "-W", "north", "-p", port, "127.0.0.1").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, b := e.get("/metrics")
	for _, want := range []string{"mesh_turn_allocations_total{transport=\"udp\"} ", "mesh_turn_relayed_bytes_total{direction=\"up\"} ", "mesh_turn_relayed_packets_total{direction=\"down\"} "} {
		_, value, ok := strings.Cut(string(b), want)
		if !ok || strings.HasPrefix(value, "0\n") {
			t.Errorf("no %sin\n%s", want, grep(string(b), "mesh_turn"))
		}
	}
	if strings.Contains(grep(string(b), "mesh_"), "somebody") {
		t.Errorf("the metrics name a user:\n%s", grep(string(b), "mesh_"))
	}
}
