package lab

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// name is the edge's in the URLs of viewers; /etc/hosts of each namespace has its addresses.
const name = "edge.example.com"

// spaces are network namespaces, and what is between them.
type spaces struct {
	t      testing.TB
	prefix string // of their names
	dir    string // for files
}

// namespace makes one, with loopback, and has it removed at the end.
func (l *spaces) namespace(short string) string {
	l.t.Helper()
	ns := l.prefix + short
	l.run("ip", "netns", "add", ns)
	etc := filepath.Join("/etc/netns", ns)
	l.t.Cleanup(func() {
		if out, err := exec.Command("ip", "netns", "del", ns).CombinedOutput(); err != nil {
			l.t.Errorf("remove the namespace %s: %v %s", ns, err, out)
		}
		_ = os.RemoveAll(etc)
	})
	if err := os.MkdirAll(etc, 0o755); err != nil {
		l.t.Fatal(err)
	}
	l.run("ip", "-n", ns, "link", "set", "lo", "up")
	return ns
}

// within calls f on a thread that is in a namespace; what f opens stays there.
func within(ns string, f func() error) error {
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		done <- func() error {
			space, err := os.Open("/run/netns/" + ns)
			if err != nil {
				return err
			}
			defer space.Close()
			if err := unix.Setns(int(space.Fd()), unix.CLONE_NEWNET); err != nil {
				return err
			}
			return f()
		}()
	}()
	return <-done
}

// hosts writes /etc/hosts of a namespace.
func (l *spaces) hosts(ns string, addresses ...string) {
	l.t.Helper()
	var b strings.Builder
	fmt.Fprintln(&b, "127.0.0.1 localhost")
	for _, a := range addresses {
		fmt.Fprintln(&b, a, name)
	}
	if err := os.WriteFile(filepath.Join("/etc/netns", ns, "hosts"), []byte(b.String()), 0o644); err != nil {
		l.t.Fatal(err)
	}
}

// run runs a command that must succeed.
func (l *spaces) run(args ...string) {
	l.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if out, err := exec.CommandContext(ctx, args[0], args[1:]...).CombinedOutput(); err != nil {
		l.t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// in runs a command in a namespace.
func (l *spaces) in(ns string, args ...string) {
	l.t.Helper()
	l.run(append([]string{"ip", "netns", "exec", ns}, args...)...)
}

// nft adds rules to a namespace.
func (l *spaces) nft(ns, rules string) {
	l.t.Helper()
	cmd := exec.Command("ip", "netns", "exec", ns, "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules + "\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		l.t.Fatalf("nft: %v\n%s\n%s", err, out, rules)
	}
}

func (l *spaces) sysctl(ns string, settings ...string) {
	l.t.Helper()
	l.in(ns, append([]string{"sysctl", "-qw"}, settings...)...)
}

// join joins two namespaces by a cable: from has the interface named there, and so has to.
func (l *spaces) join(from, there, to, here string) {
	l.t.Helper()
	l.run("ip", "link", "add", there, "netns", from, "type", "veth", "peer", "name", here, "netns", to)
	l.up(from, there)
	l.up(to, here)
}

func (l *spaces) up(ns, dev string) {
	l.t.Helper()
	// An IPv6 address is used at once, and not after a second of asking who has it.
	l.sysctl(ns, "net.ipv6.conf."+dev+".accept_dad=0")
	l.run("ip", "-n", ns, "link", "set", dev, "up")
}

func (l *spaces) address(ns, dev, address string) {
	l.t.Helper()
	l.run("ip", "-n", ns, "addr", "add", address, "dev", dev)
}

func (l *spaces) route(ns, via string) {
	l.t.Helper()
	family := "-4"
	if strings.Contains(via, ":") {
		family = "-6"
	}
	l.run("ip", family, "-n", ns, "route", "add", "default", "via", via)
}
