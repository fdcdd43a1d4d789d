package lab

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

var verbose = flag.Bool("verbose", false, "show what the viewers said when a test fails")

// built are the programs, made once for each run of tests.
var built struct {
	sync.Mutex
	dir  string
	done map[string]bool
}

// build returns the path of one of the examples' programs.
func build(t testing.TB, program string) string {
	t.Helper()
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "viewmesh-lab-")
		if err != nil {
			t.Fatal(err)
		}
		built.dir, built.done = dir, map[string]bool{}
	}
	path := filepath.Join(built.dir, program)
	if !built.done[program] {
		out, err := exec.Command("go", "build", "-o", path, "github.com/viewmesh/viewmesh/examples/"+program).CombinedOutput()
		if err != nil {
			t.Fatalf("build %s: %v\n%s", program, err, out)
		}
		built.done[program] = true
	}
	return path
}

// Clean removes the programs. TestMain calls it.
func Clean() { _ = os.RemoveAll(built.dir) }

// process is a program that runs in a namespace.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	once sync.Once
}

// start starts a program in a namespace.
func start(l *Lab, ns string, out, errs *lines, args ...string) *process {
	l.t.Helper()
	cmd := exec.Command("ip", append([]string{"netns", "exec", ns}, args...)...)
	cmd.Stdout, cmd.Stderr = out, errs
	cmd.Env = append(os.Environ(), "HOME="+l.dir, "XDG_DATA_HOME="+l.dir, "XDG_CONFIG_HOME="+l.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	p := &process{cmd: cmd, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// The signal comes when the thread ends that started the process, and threads end:
		// those that within had to itself. This one waits for the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		l.t.Fatal(err)
	}
	return p
}

// stop ends a process at once.
func (p *process) stop() {
	p.once.Do(func() { _ = p.cmd.Process.Kill() })
	<-p.done
}

// lines collects what a program prints.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Path is a neighbor of a viewer, as peer --json has it.
type Path struct {
	Peer          string `json:"peer"`
	Local         string `json:"local"`
	LocalAddress  string `json:"local_address"`
	Remote        string `json:"remote"`
	RemoteAddress string `json:"remote_address"`
	Relay         string `json:"relay"`
	OpenMS        int64  `json:"open_ms"`
	FirstByteMS   int64  `json:"first_byte_ms"`
	Closed        bool   `json:"closed"`
}

func (p Path) String() string {
	if p.Peer == "" {
		return "no path"
	}
	s := fmt.Sprintf("%s %s to %s %s", p.Local, p.LocalAddress, p.Remote, p.RemoteAddress)
	if p.Relay != "" {
		s += " over " + p.Relay
	}
	s += fmt.Sprintf(", open after %d ms, first byte after %d ms", p.OpenMS, p.FirstByteMS)
	if p.Closed {
		s += ", closed"
	}
	return s
}

// State is how a viewer does.
type State struct {
	PeerBytes    int64  `json:"peer_bytes"`
	OriginBytes  int64  `json:"origin_bytes"`
	RelayedBytes int64  `json:"relayed_bytes"`
	StartupMS    int64  `json:"startup_ms"`
	Stalls       int64  `json:"stalls"`
	StallMS      int64  `json:"stall_ms"`
	Neighbors    int64  `json:"neighbors"`
	BufferMS     int64  `json:"buffer_ms"`
	Paths        []Path `json:"paths"`
}

// Open returns the path that is open, if one is.
func (s State) Open() (Path, bool) {
	for _, p := range s.Paths {
		if !p.Closed {
			return p, true
		}
	}
	return Path{}, false
}

// Peer is a viewer that plays.
type Peer struct {
	lab  *Lab
	host *Host
	run  *process
	out  *lines
	log  *lines
}

// Peer starts a viewer of a stream on the host, with further flags of examples/peer.
func (h *Host) Peer(e *Edge, stream string, flags ...string) *Peer {
	h.lab.t.Helper()
	p := &Peer{lab: h.lab, host: h, out: &lines{}, log: &lines{}}
	args := append([]string{build(h.lab.t, "peer"), "--json", "--every", "200ms", "--verbose"}, flags...)
	if e.ca != "" {
		args = append(args, "--ca", e.ca)
	}
	p.run = start(h.lab, h.ns, p.out, p.log, append(args, e.Stream(stream))...)
	h.lab.t.Cleanup(func() {
		p.run.stop()
		if h.lab.t.Failed() && *verbose {
			h.lab.t.Logf("the viewer behind %s was at %+v and said\n%s", h.kind, p.State(), p.log)
		}
	})
	return p
}

// Stop ends the viewer.
func (p *Peer) Stop() { p.run.stop() }

// State returns what the viewer printed last.
func (p *Peer) State() State {
	var s struct {
		Viewers []State `json:"viewers"`
	}
	text := strings.TrimRight(p.out.String(), "\n")
	for text != "" {
		i := strings.LastIndexByte(text, '\n')
		if json.Unmarshal([]byte(text[i+1:]), &s) == nil && len(s.Viewers) == 1 {
			return s.Viewers[0]
		}
		text = text[:max(i, 0)]
	}
	return State{}
}

// Until waits until something is true of the viewer, and returns how long that took; ok is
// false if it did not come true within limit.
func (p *Peer) Until(limit time.Duration, is func(State) bool) (took time.Duration, ok bool) {
	for begun := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		if took = time.Since(begun); is(p.State()) {
			return took, true
		}
		if took > limit {
			return took, false
		}
	}
}
