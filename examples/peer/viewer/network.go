package viewer

import (
	"net"
	"slices"
	"time"
)

// lookEvery is how often the addresses of this machine are looked at.
const lookEvery = time.Second

// localAddresses returns the addresses of this machine that others may reach it at, in
// order, or nil while it has none: there is nothing to change to.
func localAddresses() (out []string) {
	all, _ := net.InterfaceAddrs()
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() {
			out = append(out, n.String())
		}
	}
	slices.Sort(out)
	return out
}
