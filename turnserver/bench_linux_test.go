package turnserver

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pion/stun"
	"github.com/pion/turn/v2"
	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/viewmesh/viewmesh/internal/program"
)

// The relay benchmark runs this server and coturn's, each as a process on a core of its
// own, with clients and peers on another, and compares the CPU time that the servers
// take:
//
//	go test ./turnserver -run '^$' -bench RelayBesideCoturn -benchtime 1x
//
// It prints for each way in, direction and shape of traffic the medians of several runs taken in
// turn: CPU seconds per GB of payload of both, the ratio of the two runs of a pair,
// packets per second and core (a packet counts once, though it is received and sent),
// and what was lost. A burst of 14 is a 16 KiB data channel message; a burst of 1 is
// evenly paced; the last shape over UDP is more than either server can carry. Losses of
// both at once are the machine's: something else runs on the core of the clients. The
// way in "site" is a TLS connection that another server has made, as on the port of an
// HTTPS site, and "below" that where mesh_turn stands before tls, too.
// VIEWMESH_BENCH_PROFILE names a file for a CPU profile of this server.
const (
	benchClients = 8
	benchSize    = 1200
	benchTime    = time.Second
	benchRuns    = 5
)

func init() { benchServe = serveForBench }

// serveForBench prints the server's address and serves until its input ends.
func serveForBench() {
	s, err := New(Config{Realm: "example.org", RelayAddress: loopback, RelayBind: loopback, Policy: Policy{
		RelayEnabled: true, Secrets: [][]byte{secret}, AllowPeers: prefixes("127.0.0.0/8"), UserBandwidth: 1 << 40, MaxConnsPerSource: 4096,
	}})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	var addr net.Addr
	config, err := benchTLS()
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	switch way(os.Getenv("VIEWMESH_BENCH_SERVE")) {
	case "tcp":
		addr, err = s.ListenTCP("127.0.0.1:0")
	case "tls":
		addr, err = s.ListenTLS("127.0.0.1:0", func() *tls.Config { return config })
	case "site", "below", "bare":
		var ln net.Listener
		var bare []*tls.Conn
		if ln, err = net.Listen("tcp", "127.0.0.1:0"); err == nil {
			addr = ln.Addr()
			go func() {
				for {
					conn, err := ln.Accept()
					if err != nil {
						return
					}
					if os.Getenv("VIEWMESH_BENCH_SERVE") == "below" {
						conn = BelowTLS(conn)
					}
					tc := tls.Server(conn, config)
					if os.Getenv("VIEWMESH_BENCH_SERVE") == "bare" {
						bare = append(bare, tc)
						_ = tc.Handshake()
						continue
					}
					s.ServeConn(tc)
				}
			}()
		}
	default:
		addr, err = s.ListenUDP("127.0.0.1:0", 1)
	}
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	stop := startProfile()
	fmt.Println(addr)
	_, _ = io.Copy(io.Discard, os.Stdin)
	stop()
	_ = s.Close()
}

func BenchmarkRelayBesideCoturn(b *testing.B) {
	coturn := program.Need(b, "is what ours is compared with", "coturn", "turnserver")
	shapes := map[way][]shape{
		"udp":   {{5000, 1}, {20000, 1}, {60000, 1}, {60000, 14}, {200000, 14}},
		"tcp":   {{5000, 1}, {20000, 1}, {20000, 14}},
		"tls":   {{5000, 1}, {20000, 1}, {20000, 14}},
		"site":  {{5000, 1}, {20000, 1}, {20000, 14}},
		"below": {{5000, 1}, {20000, 1}, {20000, 14}},
	}
	for _, run := range []struct {
		way way
		up  bool
	}{{"udp", true}, {"udp", false}, {"tcp", true}, {"tcp", false}, {"tls", true}, {"tls", false}, {"site", true}, {"site", false}, {"below", true}, {"below", false}} {
		for _, shape := range shapes[run.way] {
			b.Run(fmt.Sprintf("%s/%s/rate=%d/burst=%d", run.way, map[bool]string{true: "up", false: "down"}[run.up], shape.rate, shape.burst), func(b *testing.B) {
				var ours, theirs []benchResult
				for range benchRuns {
					ours = append(ours, benchRun(b, startOurs, run.way, run.up, shape))
					theirs = append(theirs, benchRun(b, func(b *testing.B, w way) (*exec.Cmd, net.Addr, func()) { return startCoturn(b, coturn, w) }, run.way, run.up, shape))
				}
				var ratios []float64
				for i := range ours {
					ratios = append(ratios, ours[i].cpuPerGB/theirs[i].cpuPerGB)
				}
				b.ReportMetric(median(ours, func(r benchResult) float64 { return r.cpuPerGB }), "cpu-s/GB")
				b.ReportMetric(median(theirs, func(r benchResult) float64 { return r.cpuPerGB }), "coturn-cpu-s/GB")
				b.ReportMetric(median(ratios, func(r float64) float64 { return r }), "ratio")
				b.ReportMetric(median(ours, func(r benchResult) float64 { return r.packetsPerCore }), "packets/s/core")
				b.ReportMetric(100*median(ours, func(r benchResult) float64 { return r.lost }), "lost-%")
				b.ReportMetric(100*median(theirs, func(r benchResult) float64 { return r.lost }), "coturn-lost-%")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}

// shape is the load: datagrams a second, all clients together, and how many a client
// sends at once.
type shape struct{ rate, burst int }

// way is how clients reach the server: udp, tcp, tls, site, below or bare.
type way string

// transportOf returns the transport of a way in over a connection.
func transportOf(w way) Transport {
	if w == "tcp" {
		return TCP
	}
	return TLS
}

type benchResult struct{ cpuPerGB, packetsPerCore, lost float64 }

// median returns the middle one of what f takes from a list of odd length.
func median[T any](list []T, f func(T) float64) float64 {
	var all []float64
	for _, x := range list {
		all = append(all, f(x))
	}
	slices.Sort(all)
	return all[len(all)/2]
}

// benchRun puts one server under load for benchTime.
func benchRun(b *testing.B, startServer func(*testing.B, way) (*exec.Cmd, net.Addr, func()), w way, up bool, sh shape) benchResult {
	pin(b, os.Getpid(), 1)
	cmd, server, stop := startServer(b, w)
	defer stop()

	var from, to []net.Conn
	var targets []netip.AddrPort
	for range benchClients {
		var clientConn net.Conn
		c := newRawClientOver(b, server, "bench", func() net.PacketConn {
			if w == "udp" {
				conn := dial(b, UDP, server)
				clientConn = conn.(*net.UDPConn)
				return conn
			}
			clientConn = dialStream(b, transportOf(w), server)
			return turn.NewSTUNConn(clientConn)
		}())
		defer c.conn.Close()
		peerConn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			b.Fatal(err)
		}
		defer peerConn.Close()
		code, relayed, _ := allocateFor(b, c)
		if code != 0 {
			b.Fatalf("allocate: code %d", code)
		}
		if code := c.request(9, channelAttr(0x4000), peerAttr(addrPortOf(peerConn.LocalAddr()))); code != 0 {
			b.Fatalf("channel: code %d", code)
		}
		_ = clientConn.SetReadDeadline(time.Time{})
		if up {
			from, to, targets = append(from, clientConn), append(to, peerConn), append(targets, addrPortOf(server))
		} else {
			from, to, targets = append(from, peerConn), append(to, clientConn), append(targets, relayed)
		}
	}

	var received atomic.Int64
	var wg sync.WaitGroup
	for _, conn := range to {
		if udp, ok := conn.(*net.UDPConn); ok {
			_ = udp.SetReadBuffer(socketBuffer)
			wg.Go(func() { count(udp, &received) })
		} else {
			wg.Go(func() { countStream(conn, &received) })
		}
	}
	before := cpuTime(b, cmd.Process.Pid)
	sent := load(b, from, targets, up, sh)
	eventually(b, "the server is through with it", func() bool {
		n := received.Load()
		time.Sleep(50 * time.Millisecond)
		return received.Load() == n
	})
	cpu := cpuTime(b, cmd.Process.Pid) - before
	for _, conn := range to {
		_ = conn.SetReadDeadline(time.Now())
	}
	wg.Wait()
	n := received.Load()
	return benchResult{
		cpuPerGB:       cpu.Seconds() / (float64(n) * benchSize / 1e9),
		packetsPerCore: float64(n) / cpu.Seconds(),
		lost:           1 - float64(n)/float64(sent),
	}
}

// load sends datagrams for benchTime, a burst at a time from each of from in turn.
func load(b *testing.B, from []net.Conn, to []netip.AddrPort, channel bool, sh shape) (sent int64) {
	payload := make([]byte, benchSize)
	if channel {
		payload = append([]byte{0x40, 0, benchSize >> 8, benchSize & 0xff}, payload...)
	}
	bursts := make([]func() (int, error), len(from))
	for i, conn := range from {
		if conn, ok := conn.(*net.UDPConn); ok {
			var msgs []ipv4.Message
			for range sh.burst {
				msgs = append(msgs, ipv4.Message{Buffers: [][]byte{payload}, Addr: net.UDPAddrFromAddrPort(to[i])})
			}
			pc := ipv4.NewPacketConn(conn)
			bursts[i] = func() (int, error) { return pc.WriteBatch(msgs, 0) }
			continue
		}
		all := bytes.Repeat(payload, sh.burst)
		bursts[i] = func() (int, error) {
			n, err := conn.Write(all)
			return n / len(payload), err
		}
	}
	const tick = time.Millisecond
	begin := time.Now()
	due, next := 0.0, 0
	for {
		elapsed := time.Since(begin)
		if elapsed > benchTime {
			return sent
		}
		for due = elapsed.Seconds()*float64(sh.rate) - float64(sent); due >= float64(sh.burst); due -= float64(sh.burst) {
			n, err := bursts[next]()
			if err != nil {
				b.Logf("send: %v", err)
			}
			sent += int64(n)
			next = (next + 1) % len(bursts)
		}
		time.Sleep(tick)
	}
}

func count(conn *net.UDPConn, n *atomic.Int64) {
	pc := ipv4.NewPacketConn(conn)
	msgs := make([]ipv4.Message, 32)
	for i := range msgs {
		msgs[i].Buffers = [][]byte{make([]byte, maxDatagram)}
	}
	for {
		k, err := pc.ReadBatch(msgs, 0)
		if err != nil {
			return
		}
		for _, m := range msgs[:k] {
			if m.N >= benchSize {
				n.Add(1)
			}
		}
	}
}

// countStream counts the ChannelData that comes over a stream.
func countStream(conn net.Conn, n *atomic.Int64) {
	buf := make([]byte, 64<<10)
	for rest := 0; ; {
		k, err := conn.Read(buf)
		if err != nil {
			return
		}
		rest += k
		n.Add(int64(rest / (channelHeader + benchSize)))
		rest %= channelHeader + benchSize
	}
}

// benchTLS is the TLS configuration of this server, from a new key.
func benchTLS() (*tls.Config, error) {
	der, key, err := newKeyPair()
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, err
}

// startOurs runs this server in a process of its own; it ends when stop is called.
func startOurs(b *testing.B, w way) (cmd *exec.Cmd, addr net.Addr, stop func()) {
	cmd = exec.Command("taskset", "-c", "0", os.Args[0])
	cmd.Env = append(os.Environ(), "VIEWMESH_BENCH_SERVE="+string(w))
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		b.Fatal(err)
	}
	if addr, err = resolve(w, strings.TrimSpace(line)); err != nil {
		b.Fatalf("the server says %q", line)
	}
	return cmd, addr, func() { _ = in.Close(); _ = cmd.Wait() }
}

func startCoturn(b *testing.B, path string, w way) (cmd *exec.Cmd, addr net.Addr, stop func()) {
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr = free.LocalAddr()
	_ = free.Close()
	port := addr.(*net.UDPAddr).Port
	dir := b.TempDir()
	streams := []string{"--no-tls", "--no-tcp"}
	if w != "udp" {
		cert, key := clientFiles(b)
		streams = []string{"--cert", cert, "--pkey", key}
		if addr, err = resolve(w, addr.String()); err != nil {
			b.Fatal(err)
		}
	}
	cmd = exec.Command("taskset", "-c", "0", path, "-n", "-L", "127.0.0.1", "-E", "127.0.0.1", "-p", strconv.Itoa(port), "-m", "1",
		"--no-dtls", "--no-tcp-relay", "--no-cli", "--allow-loopback-peers", "--no-software-attribute",
		"--use-auth-secret", "--static-auth-secret="+string(secret), "-r", "example.org",
		"--pidfile", dir+"/pid", "--log-file", dir+"/log", "--simple-log", "--no-stdout-log", "--userdb", dir+"/db")
	cmd.Args = append(cmd.Args, streams...)
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	stop = sync.OnceFunc(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	b.Cleanup(stop) // where nothing is returned
	if w != "udp" {
		eventually(b, "coturn listens", func() bool {
			conn, err := net.Dial("tcp", addr.String())
			if err == nil {
				conn.Close()
			}
			return err == nil
		})
	}
	return cmd, addr, stop
}

func resolve(w way, addr string) (net.Addr, error) {
	if w == "udp" {
		return net.ResolveUDPAddr("udp4", addr)
	}
	return net.ResolveTCPAddr("tcp4", addr)
}

// pin puts all threads of a process on one core.
func pin(b *testing.B, pid, core int) {
	b.Helper()
	var set unix.CPUSet
	set.Set(core)
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", pid))
	if err != nil {
		b.Fatal(err)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		_ = unix.SchedSetaffinity(tid, &set)
	}
}

// cpuTime is the CPU time of a process, by the clock that the kernel has of it.
func cpuTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	var ts unix.Timespec
	if err := unix.ClockGettime(int32(^pid<<3|2), &ts); err != nil {
		b.Fatal(err)
	}
	return time.Duration(ts.Nano())
}

// BenchmarkMemoryBesideCoturn compares what an allocation with a channel takes of the
// resident memory of both servers' processes, garbage and buffers of TLS included; and what
// a connection takes that does nothing but hold its crypto/tls ("bare"):
//
//	go test ./turnserver -run '^$' -bench MemoryBesideCoturn -benchtime 1x
func BenchmarkMemoryBesideCoturn(b *testing.B) {
	coturn := program.Need(b, "is what ours is compared with", "coturn", "turnserver")
	for _, w := range []way{"udp", "tcp", "tls", "site", "bare"} {
		b.Run(string(w), func(b *testing.B) {
			b.ReportMetric(0, "ns/op")
			b.ReportMetric(memoryOf(b, startOurs, w), "KiB/allocation")
			if w == "bare" {
				return
			}
			b.ReportMetric(memoryOf(b, func(b *testing.B, w way) (*exec.Cmd, net.Addr, func()) { return startCoturn(b, coturn, w) }, w), "coturn-KiB/allocation")
		})
	}
}

// memoryOf makes a thousand allocations at a server and returns the growth of its
// resident memory for each, in KiB. The first hundred, which warm the server up, do not
// count.
func memoryOf(b *testing.B, startServer func(*testing.B, way) (*exec.Cmd, net.Addr, func()), w way) float64 {
	const warm, count = 100, 1000
	cmd, server, stop := startServer(b, w)
	defer stop()
	before := 0
	for i := range warm + count {
		if i == warm {
			before = resident(b, cmd.Process.Pid)
		}
		var conn net.PacketConn
		if w == "udp" {
			conn = dial(b, UDP, server)
		} else {
			conn = turn.NewSTUNConn(dialStream(b, transportOf(w), server))
		}
		defer conn.Close()
		if w == "bare" {
			if _, err := conn.WriteTo(nil, server); err != nil { // shakes hands
				b.Fatal(err)
			}
			continue
		}
		c := newRawClientOver(b, server, fmt.Sprint("bench", i), conn)
		if code, _, _ := allocateFor(b, c); code != 0 {
			b.Fatalf("allocate: code %d", code)
		}
		if code := c.request(stun.MethodChannelBind, channelAttr(minChannel), peer("127.0.0.1:9")); code != 0 {
			b.Fatalf("channel: code %d", code)
		}
	}
	return float64(resident(b, cmd.Process.Pid)-before) / count / 1024
}

// resident is the resident memory of a process, in bytes.
func resident(b *testing.B, pid int) int {
	b.Helper()
	statm, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		b.Fatal(err)
	}
	pages, _ := strconv.Atoi(strings.Fields(string(statm))[1])
	return pages * os.Getpagesize()
}
