package turn_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"

	"github.com/viewmesh/viewmesh/internal/freeport"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

// TestTURNOptionsReachTheRelay: every option of the policy is the relay's after a
// load, and the relay's own address is not denied to those who meet there.
func TestTURNOptionsReachTheRelay(t *testing.T) {
	e := newEdge(t)
	t.Setenv("VIEWMESH_TEST_SECRET", "east")
	e.load(`mesh {
		turn {
			listen udp/127.0.0.1:0
			relay_address 127.0.0.1
			own_addresses 127.0.0.1 203.0.113.8
			allow_peers 127.0.0.0/8
			deny_peers 198.51.100.0/24 127.0.0.3
			user_bandwidth 1MiB
			user_bytes 2MiB
			user_allocations 7
			total_bandwidth 3MiB
			total_bytes 4MiB
			unauth_rate 50
			binding_rate 60
			max_connections 70
			max_connections_per_source 80
			max_lifetime 90m
			audit
			shared_secret north {env.VIEWMESH_TEST_SECRET}
			log_addresses
		}
		ice_servers turn:turn.example.net {
			username other
			credential {env.VIEWMESH_TEST_SECRET}
		}
	}`, "mesh\n root "+vod(t, 100)+"\n file_server")
	p := theServer(t).Policy()
	if !p.RelayEnabled || p.UserBandwidth != 1<<20 || p.UserBytes != 2<<20 || p.UserAllocations != 7 ||
		p.TotalBandwidth != 3<<20 || p.TotalBytes != 4<<20 || p.UnauthRate != 50 || !p.LogAddresses ||
		p.BindingRate != 60 || p.MaxConns != 70 || p.MaxConnsPerSource != 80 || p.MaxLifetime != 90*time.Minute || !p.Audit {
		t.Errorf("policy %+v", p)
	}
	if got := fmt.Sprint(p.AllowPeers, p.DenyPeers); got != "[127.0.0.0/8] [198.51.100.0/24 127.0.0.3/32 203.0.113.8/32]" {
		t.Errorf("peers %s", got)
	}
	if all := e.openSession("/vod/index.m3u8").ICEServers; all[len(all)-1].Credential != "east" {
		t.Errorf("ICE servers %+v, want the other provider's credential", all)
	}
	if got := fmt.Sprintf("%s", p.Secrets[1:]); got != "[north east]" {
		t.Errorf("secrets %s", got)
	}
}

// TestSecretsRotate: a new secret is good beside the old one, and the old one no
// longer when it is gone from the config.
func TestSecretsRotate(t *testing.T) {
	e := newEdge(t)
	site := "root " + vod(t, 100) + "\n file_server\n tls internal"
	peer := echoPeer(t)
	for _, c := range []struct {
		secrets   string
		good, bad []string
	}{
		{"old", []string{"old"}, []string{"new"}},
		{"new old", []string{"new", "old"}, nil},
		{"new", []string{"new"}, []string{"old"}},
	} {
		e.loadTURN("shared_secret "+c.secrets, "", site)
		for _, secret := range c.good {
			viewerOver(t, dialUDP(t, turnAddr(t, "udp")), secret, secret, peer)
		}
		for _, secret := range c.bad {
			user, password := tokens.TURNCredentials([]byte(secret), secret, time.Now().Add(time.Minute))
			if _, err := allocate(dialUDP(t, turnAddr(t, "udp")), user, password); !errors.Is(err, refusal(401)) {
				t.Errorf("secret %q under %q: %v", secret, c.secrets, err)
			}
		}
	}
	if err := e.tryLoad(e.turnConfig("shared_secret {env.VIEWMESH_NOWHERE}", "", site, "")); err == nil || !strings.Contains(err.Error(), "{env.VIEWMESH_NOWHERE} is empty") {
		t.Errorf("a secret from a variable that is not set: %v", err)
	}
}

// TestRelayCountsForItsSwarm: what a session's credentials relay stands in the
// stats of its swarm, and a spent budget leaves sessions with STUN until a config
// grants more.
func TestRelayCountsForItsSwarm(t *testing.T) {
	e := newEdge(t)
	dir := vod(t, 100)
	load := func(budget string, more ...string) {
		e.load("mesh {\n turn {\n listen udp/127.0.0.1:0 tcp/127.0.0.1:0\n relay_address 127.0.0.1\n allow_peers 127.0.0.0/8\n total_bytes "+budget+"\n "+strings.Join(more, "\n")+"\n }\n }",
			"mesh {\n stats\n }\n metrics /metrics\n root "+dir+"\n file_server")
	}
	schemes := func(a signal.SessionAnswer) string {
		var s []string
		for _, ice := range a.ICEServers {
			for _, url := range ice.URLs {
				scheme, _, _ := strings.Cut(url, ":")
				_, transport, _ := strings.Cut(url, "?transport=")
				s = append(s, scheme+transport)
			}
		}
		return strings.Join(s, " ")
	}
	load("2KiB")
	a := e.openSession("/vod/index.m3u8")
	if got := schemes(a); got != "stun turnudp turntcp" {
		t.Fatalf("ICE servers %s", got)
	}
	join(t, websocket.DefaultDialer, "ws://"+e.addr+"/mesh/signal", a)
	conn := dialUDP(t, netip.MustParseAddrPort(strings.TrimPrefix(a.ICEServers[0].URLs[0], "stun:")))
	c, err := allocate(conn, a.ICEServers[1].Username, a.ICEServers[1].Credential)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.bind(echoPeer(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.ask(strings.Repeat("x", 1000), turnWait); err != nil {
		t.Fatal(err)
	}
	if got := schemes(e.openSession("/vod/index.m3u8")); got != "stun turnudp turntcp" {
		t.Errorf("ICE servers within the budget: %s", got)
	}
	if err := c.ask(strings.Repeat("y", 1000), 300*time.Millisecond); err == nil {
		t.Error("relayed beyond the budget")
	}
	if got := schemes(e.openSession("/vod/index.m3u8")); got != "stun" {
		t.Errorf("ICE servers when the budget is spent: %s", got)
	}
	if _, b := e.get("/metrics"); !strings.Contains(string(b), "\nmesh_turn_available 0\n") {
		t.Errorf("metrics: %s", grep(string(b), "mesh_turn_available"))
	}
	load("1GiB")
	if got := schemes(e.openSession("/vod/index.m3u8")); got != "stun turnudp turntcp" {
		t.Errorf("ICE servers of a larger budget: %s", got)
	}
	load("1GiB", "realm elsewhere") // another server: the first says what is left to say
	type carried struct {
		RelayPeers     int64 `json:"relay_peers"`
		RelayUpBytes   int64 `json:"relay_up_bytes"`
		RelayDownBytes int64 `json:"relay_down_bytes"`
	}
	var st struct {
		carried
		Swarms []carried `json:"swarms"`
	}
	waitFor(t, func() bool { // once the old config is gone
		_, b := e.get("/mesh/stats")
		if err := json.Unmarshal(b, &st); err != nil {
			t.Fatal(err)
		}
		return st.RelayUpBytes >= 1000
	})
	if want := (carried{1, st.RelayUpBytes, 1000}); len(st.Swarms) != 1 || st.Swarms[0] != want || st.carried != want {
		t.Errorf("stats %+v, want %+v", st, want)
	}
}

// TestSecondRelayAddress: a client that asks for IPv6 gets the second address, and
// 440 where there is none (RFC 8656, section 7.2).
func TestSecondRelayAddress(t *testing.T) {
	e := newEdge(t)
	site := "mesh\n root " + vod(t, 100) + "\n file_server"
	for _, c := range []struct{ relay, want string }{
		{"127.0.0.1", "the TURN server answered 440"},
		{"127.0.0.1 ::1\n relay_bind 127.0.0.1 ::1", "family 2"},
	} {
		e.load("mesh {\n turn {\n listen udp/127.0.0.1:0\n shared_secret north\n relay_address "+c.relay+"\n }\n }", site)
		user, password := tokens.TURNCredentials([]byte("north"), "viewer", time.Now().Add(time.Minute))
		client := &turnClient{conn: dialUDP(t, turnAddr(t, "udp")), user: user, password: password}
		transport, family := stunAttr{attrTransport, []byte{17, 0, 0, 0}}, stunAttr{0x0017, []byte{2, 0, 0, 0}}
		if _, err := client.request(turnAllocate, transport, family); !errors.Is(err, refusal(401)) {
			t.Fatal(err)
		}
		answer, err := client.request(turnAllocate, transport, family)
		got := fmt.Sprint(err)
		if err == nil {
			got = fmt.Sprintf("family %d", answer[attrRelayed][1])
		}
		if got != c.want {
			t.Errorf("relay_address %s: %s, want %s", c.relay, got, c.want)
		}
	}
}

// TestOtherPortsAndListenersNeedNoRestart: a reload that changes the relay's ports and
// listeners makes new allocations there, and the old ones live on.
func TestOtherPortsAndListenersNeedNoRestart(t *testing.T) {
	e := newEdge(t)
	addr, other := freeport.Addr(t), freeport.Addr(t)
	site := "mesh\n root " + vod(t, 100) + "\n file_server"
	load := func(listen, ports string) {
		e.load("mesh {\n turn {\n listen "+listen+"\n relay_address 127.0.0.1\n allow_peers 127.0.0.1\n shared_secret north\n relay_ports "+ports+"\n }\n }", site)
	}
	load("udp/"+addr+" tcp/"+addr, "50000-50100")
	peer := echoPeer(t)
	over := func(network, addr string) *turnClient {
		conn, err := net.Dial(network, addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		return viewerOver(t, conn, "north", "viewer", peer)
	}
	old := []*turnClient{over("tcp", addr), over("udp", addr)}
	load("udp/"+addr+" tcp/"+addr, "50200-50300")
	for _, network := range []string{"udp", "tcp"} {
		if p := over(network, addr).relay.Port(); p < 50200 || p > 50300 {
			t.Errorf("relay port %d, want one of the new range", p)
		}
	}
	load("udp/"+other, "50200-50300")
	over("udp", other)
	for i, c := range old {
		if p := c.relay.Port(); p < 50000 || p > 50100 {
			t.Errorf("relay port %d", p)
		}
		if err := c.ask("still there", turnWait); err != nil {
			t.Errorf("allocation %d: %v", i, err)
		}
	}
	if conn, err := net.Dial("tcp", addr); err == nil {
		conn.Close()
		t.Error("a listener that was taken out still accepts connections")
	}
}
