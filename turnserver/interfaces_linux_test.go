package turnserver

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"github.com/pion/stun"

	"github.com/viewmesh/viewmesh/internal/program"
)

// inNamespace runs the test again in a network namespace of its own, which the
// commands of ip have set up, and reports whether this is that run.
func inNamespace(t *testing.T, commands ...[]string) bool {
	t.Helper()
	ip := program.Need(t, "gives an interface several addresses", "iproute2", "ip")
	if os.Getenv("VIEWMESH_NAMESPACE") == t.Name() {
		for _, c := range commands {
			if out, err := exec.Command(ip, c...).CombinedOutput(); err != nil {
				t.Fatalf("ip %v: %v: %s", c, err, out)
			}
		}
		return true
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	cmd.Env = append(os.Environ(), "VIEWMESH_NAMESPACE="+t.Name())
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		program.Lacks(t, "the system does not let this user make network namespaces; in one, the server answers from several addresses")
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("in a namespace of its own: %v\n%s", err, out.Bytes())
	}
	return false
}

// TestAnswersComeFromTheAddressThatWasAsked: a server on the unspecified address
// serves clients of each of the host's addresses, the same client on two at once.
func TestAnswersComeFromTheAddressThatWasAsked(t *testing.T) {
	if !inNamespace(t, []string{"link", "set", "lo", "up"}, []string{"addr", "add", "fd00::1/128", "dev", "lo", "nodad"},
		[]string{"addr", "add", "fd00::2/128", "dev", "lo", "nodad"}) {
		return
	}
	for _, listen := range []string{"0.0.0.0:0", "[::]:0"} {
		s := start(t, nil)
		bound, err := s.ListenUDP(listen, 1)
		if err != nil {
			t.Fatal(err)
		}
		_, port, _ := net.SplitHostPort(bound.String())
		hosts := []string{"127.0.0.1", "127.0.0.2", "127.0.0.3"}
		if listen[0] == '[' {
			hosts = append(hosts, "::1", "fd00::1", "fd00::2")
		}
		for _, host := range hosts {
			conn, err := net.Dial("udp", net.JoinHostPort(host, port)) // takes datagrams from there alone
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			ping := stun.MustBuild(stun.TransactionID, stun.BindingRequest)
			if _, err := conn.Write(ping.Raw); err != nil {
				t.Fatal(err)
			}
			_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
			if _, err := conn.Read(make([]byte, 100)); err != nil {
				t.Errorf("%s asked, listening on %s: %v", host, listen, err)
			}
		}
	}
}

// TestOneClientAtTwoAddresses: a client that asks two of the host's addresses from one
// port has two allocations, and what comes for them leaves from the right address.
func TestOneClientAtTwoAddresses(t *testing.T) {
	s := start(t, nil)
	bound, err := s.ListenUDP("0.0.0.0:0", 1)
	if err != nil {
		t.Fatal(err)
	}
	port := bound.(*net.UDPAddr).Port
	conn := dial(t, UDP, bound)
	to := echo(t)
	peer := peerAttr(to.(*net.UDPAddr).AddrPort())
	var clients []*rawClient
	for _, host := range []string{"127.0.0.1", "127.0.0.2"} {
		username, password := mint(secret, "viewer", time.Minute)
		c := &rawClient{t: t, conn: conn, server: &net.UDPAddr{IP: net.ParseIP(host), Port: port}, username: username, password: password}
		c.allocate()
		if code := c.request(stun.MethodChannelBind, channelAttr(minChannel), peer); code != 0 {
			t.Fatalf("%s: channel: code %d", host, code)
		}
		clients = append(clients, c)
	}
	if n := s.Stats().Allocations["udp"]; n != 2 {
		t.Errorf("%d allocations, want 2", n)
	}
	for _, c := range clients {
		c.send([]byte{0x40, 0, 0, 4, 'p', 'i', 'n', 'g'})
		buf := make([]byte, 100)
		_ = conn.SetReadDeadline(time.Now().Add(5 * time.Second))
		n, from, err := conn.ReadFrom(buf)
		if err != nil || n != 8 || from.String() != c.server.String() {
			t.Errorf("%d bytes from %v, want 8 from %v (%v)", n, from, c.server, err)
		}
	}
}

// TestRelaySendsFromItsAddress: peers see the relay address as the source where the
// host has it.
func TestRelaySendsFromItsAddress(t *testing.T) {
	s := start(t, func(c *Config) { c.RelayAddress, c.RelayBind = netip.MustParseAddr("127.0.0.3"), netip.Addr{} })
	to, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	c := newRawClient(t, UDP, listen(t, s, UDP), "viewer")
	c.allocate()
	if code := c.request(stun.MethodChannelBind, channelAttr(minChannel), peerAttr(to.LocalAddr().(*net.UDPAddr).AddrPort())); code != 0 {
		t.Fatal(code)
	}
	c.send([]byte{0x40, 0, 0, 4, 'p', 'i', 'n', 'g'})
	_ = to.SetReadDeadline(time.Now().Add(5 * time.Second))
	_, from, err := to.ReadFrom(make([]byte, 100))
	if want := relayedOf(t, s, c).String(); err != nil || from.String() != want || want[:9] != "127.0.0.3" {
		t.Errorf("the peer sees %v (%v), want %s", from, err, want)
	}
}
