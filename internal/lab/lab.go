package lab

import (
	"fmt"
	"os"
	"sync/atomic"
	"testing"

	"github.com/viewmesh/viewmesh/internal/program"
)

// labs numbers those of this process.
var labs atomic.Int32

// Lab is one network.
type Lab struct {
	spaces
	core  string
	sites int
}

// New builds a lab with nothing in it but its core. It skips where the machine lets it not.
func New(t testing.TB) *Lab {
	t.Helper()
	const shows = "builds the networks that viewers have"
	program.Need(t, shows, "iproute2", "ip")
	program.Need(t, shows, "nftables", "nft")
	program.Need(t, shows, "conntrack", "conntrack")
	program.NetAdmin(t, shows)
	l := &Lab{spaces: spaces{t: t, prefix: fmt.Sprintf("vm%d-%d-", os.Getpid(), labs.Add(1)), dir: t.TempDir()}}
	l.core = l.namespace("core")
	l.sysctl(l.core, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	return l
}
