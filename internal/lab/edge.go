package lab

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Relay is what relay an edge has.
type Relay string

// The relays.
const (
	NoRelay   Relay = "no relay"
	Relay3478 Relay = "3478"       // UDP and TCP
	Relay443  Relay = "443"        // the same, and mesh_turn on the port of the site
	RelayOnly Relay = "relay only" // Relay3478, and viewers connect over it only
)

// EdgeConfig says what an edge is like.
type EdgeConfig struct {
	Relay Relay // default NoRelay
	// HTTP: without TLS.
	HTTP bool
	// Link is what the edge stands behind; default a cable.
	Link Link
	// Window bounds what a TCP connection of the edge has under way, in bytes; 0 is no
	// bound.
	Window int
	// Options are further lines of the directive mesh.
	Options string
}

// Edge is Caddy with the mesh and a live stream.
type Edge struct {
	lab    *Lab
	ns     string
	config string
	ca     string // file, "" with HTTP
	url    string
	log    *lines
	run    *process
	wire   *wire // nil for a cable
}

// Edge starts the edge of a lab. There can be one.
func (l *Lab) Edge(c EdgeConfig) *Edge {
	l.t.Helper()
	e := &Edge{lab: l, ns: l.namespace("edge"), log: &lines{}}
	if c.Link == (Link{}) {
		l.join(l.core, "s1", e.ns, "wan")
	} else {
		e.wire = l.link(l.core, "s1", e.ns, "wan", c.Link)
	}
	if c.Window > 0 {
		l.sysctl(e.ns, fmt.Sprintf("net.ipv4.tcp_wmem=4096 %d %d", c.Window, c.Window))
	}
	l.address(l.core, "s1", v4(1, 1)+"/24")
	l.address(l.core, "s1", v6(1, 1)+"/64")
	l.address(e.ns, "wan", v4(1, 2)+"/24")
	l.address(e.ns, "wan", v6(1, 2)+"/64")
	l.route(e.ns, v4(1, 1))
	l.route(e.ns, v6(1, 1))
	l.hosts(e.ns, v4(1, 2), v6(1, 2))

	storage := filepath.Join(l.dir, "storage")
	mesh, servers, only := "stun udp/:3478", "", ""
	if c.Relay != NoRelay && c.Relay != "" {
		mesh = fmt.Sprintf("turn {\nlisten udp/:3478 tcp/:3478\nrelay_address %s %s\nrelay_ports 50000-50999\n}", v4(1, 2), v6(1, 2))
	}
	switch c.Relay {
	case Relay443:
		servers = "servers {\nlistener_wrappers {\nmesh_turn\n}\n}"
	case RelayOnly:
		only = "relay_only on"
	}
	site, tls := "http://"+name, ""
	if !c.HTTP {
		site, tls = "https://"+name, "tls internal"
		e.ca = filepath.Join(storage, "pki/authorities/local/root.crt")
	}
	e.url = site + "/live"
	e.config = filepath.Join(l.dir, "Caddyfile")
	text := fmt.Sprintf(`{
	admin off
	persist_config off
	auto_https disable_redirects
	skip_install_trust
	grace_period 1s
	storage file_system %q
	log {
		level ERROR
	}
	mesh {
		%s
	}
	%s
}
%s {
	%s
	mesh {
		stats
		report_interval 2s
		%s
		%s
	}
	metrics /metrics
	handle /live* {
		uri path_regexp ^/live[^/]* ""
		demo_live
	}
}
`, storage, mesh, servers, site, tls, only, c.Options)
	if err := os.WriteFile(e.config, []byte(text), 0o644); err != nil {
		l.t.Fatal(err)
	}
	e.Start()
	l.t.Cleanup(func() {
		e.run.stop()
		if l.t.Failed() {
			l.t.Logf("the edge said\n%s", e.log)
		}
	})
	return e
}

// Start starts the edge, and waits until it answers.
func (e *Edge) Start() {
	e.lab.t.Helper()
	e.run = start(e.lab, e.ns, e.log, e.log, build(e.lab.t, "caddy"), "run", "--config", e.config, "--adapter", "caddyfile")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if e.answers() {
			return
		}
		if time.Now().After(end) {
			e.lab.t.Fatalf("the edge does not answer\n%s", e.log)
		}
	}
}

// answers reports whether the stream can be played, by a viewer that plays nothing.
func (e *Edge) answers() bool {
	args := []string{"netns", "exec", e.ns, build(e.lab.t, "peer"), "--no-mesh", "--for", "100ms"}
	if e.ca != "" {
		if _, err := os.Stat(e.ca); err != nil {
			return false
		}
		args = append(args, "--ca", e.ca)
	}
	out, _ := exec.Command("ip", append(args, e.Stream(""))...).CombinedOutput()
	return !strings.Contains(string(out), "peer:")
}

// Sent returns what the edge has sent, in bytes: of segments, and what its relay passed on,
// of which what goes from one viewer's relay to that of another counts twice.
func (e *Edge) Sent() (segments, relayed int64) {
	e.lab.t.Helper()
	for line := range strings.Lines(e.get("/metrics")) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		n, err := strconv.ParseFloat(value, 64)
		switch {
		case err != nil:
		case name == "mesh_origin_egress_bytes_total":
			segments = int64(n)
		case strings.HasPrefix(name, "mesh_turn_relayed_bytes_total{"):
			relayed += int64(n)
		}
	}
	return segments, relayed
}

// get asks the edge from its own namespace.
func (e *Edge) get(path string) string {
	e.lab.t.Helper()
	var conn net.Conn
	if err := within(e.ns, func() (err error) {
		conn, err = net.Dial("tcp", net.JoinHostPort(v4(1, 2), map[bool]string{true: "80", false: "443"}[e.ca == ""]))
		return err
	}); err != nil {
		e.lab.t.Fatalf("connect to the edge: %v", err)
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DialContext:       func(context.Context, string, string) (net.Conn, error) { return conn, nil },
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // it is asked how much it has sent
		DisableKeepAlives: true,
	}}
	resp, err := client.Get(strings.TrimSuffix(e.url, "/live") + path)
	if err != nil {
		e.lab.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		e.lab.t.Fatalf("the edge answers %s: %v", resp.Status, err)
	}
	return string(body)
}

// Stream returns the URL of a live stream; those of different names are different swarms.
func (e *Edge) Stream(name string) string { return e.url + name + "/index.m3u8" }

// Share has the edge's link carry so much of what it did at first.
func (e *Edge) Share(s float64) { e.wire.share(s) }

// Stop ends the edge without a goodbye to anybody.
func (e *Edge) Stop() {
	e.lab.t.Helper()
	e.run.stop()
}
