package turnserver

import (
	"bufio"
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
// It prints for each direction and shape of traffic the medians of several runs taken in
// turn: CPU seconds per GB of payload of both, the ratio of the two runs of a pair,
// packets per second and core (a packet counts once, though it is received and sent),
// and what was lost. A burst of 14 is a 16 KiB data channel message; a burst of 1 is
// evenly paced; the last shape is more than either server can carry. Losses of
// both at once are the machine's: something else runs on the core of the clients.
// VIEWMESH_BENCH_PROFILE names a file for a CPU profile of this server.
const (
	benchClients = 8
	benchSize    = 1200
	benchTime    = 2 * time.Second
	benchRuns    = 5
)

func init() { benchServe = serveForBench }

// serveForBench prints the server's address and serves until its input ends.
func serveForBench() {
	s, err := New(Config{Realm: "example.org", RelayAddress: loopback, RelayBind: loopback, Policy: Policy{
		RelayEnabled: true, Secrets: [][]byte{secret}, AllowPeers: prefixes("127.0.0.0/8"), UserBandwidth: 1 << 40,
	}})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	addr, err := s.ListenUDP("127.0.0.1:0", 1)
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
	for _, up := range []bool{true, false} {
		for _, shape := range []shape{{5000, 1}, {20000, 1}, {60000, 1}, {60000, 14}, {200000, 14}} {
			b.Run(fmt.Sprintf("%s/rate=%d/burst=%d", map[bool]string{true: "up", false: "down"}[up], shape.rate, shape.burst), func(b *testing.B) {
				var ours, theirs []benchResult
				for range benchRuns {
					ours = append(ours, benchRun(b, startOurs, up, shape))
					theirs = append(theirs, benchRun(b, func(b *testing.B) (*exec.Cmd, net.Addr, func()) { return startCoturn(b, coturn) }, up, shape))
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
func benchRun(b *testing.B, startServer func(*testing.B) (*exec.Cmd, net.Addr, func()), up bool, sh shape) benchResult {
	pin(b, os.Getpid(), 1)
	cmd, server, stop := startServer(b)
	defer stop()

	var from, to []*net.UDPConn
	var targets []netip.AddrPort
	for range benchClients {
		c := newRawClient(b, UDP, server, "bench")
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
		clientConn := c.conn.(*net.UDPConn)
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
		_ = conn.SetReadBuffer(socketBuffer)
		wg.Go(func() { count(conn, &received) })
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
func load(b *testing.B, from []*net.UDPConn, to []netip.AddrPort, channel bool, sh shape) (sent int64) {
	payload := make([]byte, benchSize)
	if channel {
		payload = append([]byte{0x40, 0, benchSize >> 8, benchSize & 0xff}, payload...)
	}
	conns := make([]*ipv4.PacketConn, len(from))
	msgs := make([][]ipv4.Message, len(from))
	for i := range from {
		conns[i] = ipv4.NewPacketConn(from[i])
		for range sh.burst {
			msgs[i] = append(msgs[i], ipv4.Message{Buffers: [][]byte{payload}, Addr: net.UDPAddrFromAddrPort(to[i])})
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
			n, err := conns[next].WriteBatch(msgs[next], 0)
			if err != nil {
				b.Logf("send: %v", err)
			}
			sent += int64(n)
			next = (next + 1) % len(conns)
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

// startOurs runs this server in a process of its own; it ends when stop is called.
func startOurs(b *testing.B) (cmd *exec.Cmd, addr net.Addr, stop func()) {
	cmd = exec.Command("taskset", "-c", "0", os.Args[0])
	cmd.Env = append(os.Environ(), "VIEWMESH_BENCH_SERVE=1")
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
	if addr, err = net.ResolveUDPAddr("udp4", strings.TrimSpace(line)); err != nil {
		b.Fatalf("the server says %q", line)
	}
	return cmd, addr, func() { _ = in.Close(); _ = cmd.Wait() }
}

func startCoturn(b *testing.B, path string) (cmd *exec.Cmd, addr net.Addr, stop func()) {
	free, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	addr = free.LocalAddr()
	_ = free.Close()
	port := addr.(*net.UDPAddr).Port
	dir := b.TempDir()
	cmd = exec.Command("taskset", "-c", "0", path, "-n", "-L", "127.0.0.1", "-E", "127.0.0.1", "-p", strconv.Itoa(port), "-m", "1",
		"--no-tls", "--no-dtls", "--no-tcp", "--no-tcp-relay", "--no-cli", "--allow-loopback-peers", "--no-software-attribute",
		"--use-auth-secret", "--static-auth-secret="+string(secret), "-r", "example.org",
		"--pidfile", dir+"/pid", "--log-file", dir+"/log", "--simple-log", "--no-stdout-log", "--userdb", dir+"/db")
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	return cmd, addr, func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }
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
