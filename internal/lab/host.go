package lab

import (
	"fmt"
	"os/exec"
	"strings"
	"time"
)

// Host is a viewer's device.
type Host struct {
	lab     *Lab
	kind    Kind
	site    int
	ns      string
	dev     string   // the interface
	routers []string // namespaces, the nearest first
	number  int      // in its home
	home    *home
}

// home is what the hosts of one router share.
type home struct{ hosts int }

// v4 and v6 are addresses of a site: 1 is the core's, 2 the site's.
func v4(site, n int) string { return fmt.Sprintf("12.34.%d.%d", site, n) }
func v6(site, n int) string { return fmt.Sprintf("2600:6c00:%x::%x", site, n) }

// Host adds a site with one host, on a cable or a link.
func (l *Lab) Host(k Kind, like ...Link) *Host {
	l.t.Helper()
	l.sites++
	h := &Host{lab: l, kind: k, site: l.sites + 1, home: &home{}} // 1 is the edge's
	wan := fmt.Sprintf("s%d", h.site)
	attach := func(ns, dev string) {
		if len(like) > 0 {
			l.link(l.core, wan, ns, dev, like[0])
		} else {
			l.join(l.core, wan, ns, dev)
		}
		l.address(l.core, wan, v4(h.site, 1)+"/24")
		l.address(l.core, wan, v6(h.site, 1)+"/64")
	}
	h.ns, h.dev = l.namespace(fmt.Sprintf("h%d", h.site)), "wan"
	switch k {
	case Public, IPv6Only:
		attach(h.ns, "wan")
		if k == Public {
			l.address(h.ns, "wan", v4(h.site, 2)+"/24")
			l.route(h.ns, v4(h.site, 1))
		} else {
			l.address(h.ns, "wan", v6(h.site, 2)+"/64")
			l.route(h.ns, v6(h.site, 1))
		}
		h.resolve()
		return h
	}
	router := l.router(fmt.Sprintf("r%d", h.site))
	h.routers = []string{router}
	address := v4(h.site, 2)
	if k == CGNAT {
		carrier := l.router(fmt.Sprintf("c%d", h.site))
		h.routers = append(h.routers, carrier)
		attach(carrier, "wan")
		l.address(carrier, "wan", address+"/24")
		l.route(carrier, v4(h.site, 1))
		l.nft(carrier, rules(Symmetric, address))
		l.join(carrier, "lan", router, "wan")
		l.address(carrier, "lan", "100.64.0.1/24")
		l.address(router, "wan", "100.64.0.2/24")
		l.route(router, "100.64.0.1")
		l.nft(router, rules(PortPreserving, "100.64.0.2"))
	} else {
		attach(router, "wan")
		l.address(router, "wan", address+"/24")
		l.route(router, v4(h.site, 1))
		l.nft(router, rules(k, address))
	}
	l.run("ip", "-n", router, "link", "add", "lan", "type", "bridge")
	l.up(router, "lan")
	l.address(router, "lan", lan+"/24")
	if k == Dual {
		l.address(router, "wan", v6(h.site, 2)+"/64")
		l.route(router, v6(h.site, 1))
		l.address(router, "lan", v6(h.site, 0x101)+"/120")
		l.run("ip", "-6", "-n", l.core, "route", "add", v6(h.site, 0x100)+"/120", "via", v6(h.site, 2))
	}
	h.plug()
	return h
}

// Beside adds a host to the home of h, which must be behind a router.
func (h *Host) Beside() *Host {
	h.lab.t.Helper()
	if len(h.routers) == 0 {
		h.lab.t.Fatalf("a %s host has no router that another could be behind", h.kind)
	}
	n := *h
	n.ns = h.lab.namespace(fmt.Sprintf("h%d-%d", h.site, h.home.hosts+1))
	n.plug()
	return &n
}

func (l *Lab) router(short string) string {
	l.t.Helper()
	ns := l.namespace(short)
	l.sysctl(ns, "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
	return ns
}

// plug plugs a host into the bridge of its router.
func (h *Host) plug() {
	l := h.lab
	h.home.hosts++
	h.number, h.dev = h.home.hosts, "lan"
	port := fmt.Sprintf("p%d", h.number)
	l.join(h.routers[0], port, h.ns, "lan")
	l.run("ip", "-n", h.routers[0], "link", "set", port, "master", "lan")
	l.address(h.ns, "lan", fmt.Sprintf("%s%d/24", inside, 9+h.number))
	l.route(h.ns, lan)
	if h.kind == Dual {
		l.address(h.ns, "lan", v6(h.site, 0x109+h.number)+"/120")
		l.route(h.ns, v6(h.site, 0x101))
	}
	h.resolve()
}

// resolve names the edge as a resolver would for this host.
func (h *Host) resolve() {
	switch h.kind {
	case IPv6Only:
		h.lab.hosts(h.ns, v6(1, 2))
	case Dual:
		h.lab.hosts(h.ns, v4(1, 2), v6(1, 2))
	default:
		h.lab.hosts(h.ns, v4(1, 2))
	}
}

// Has reports whether an address is one of the host's own, and not its router's.
func (h *Host) Has(address string) bool {
	h.lab.t.Helper()
	out, err := exec.Command("ip", "-n", h.ns, "-o", "addr", "show", "scope", "global").CombinedOutput()
	if err != nil {
		h.lab.t.Fatalf("list the addresses of %s: %v %s", h.ns, err, out)
	}
	return address != "" && strings.Contains(string(out), " "+address+"/")
}

// What happens to a host. Each returns at once.

// Flush has its routers forget all mappings, as one that is restarted does.
func (h *Host) Flush() {
	h.lab.t.Helper()
	for _, r := range h.routers {
		h.lab.in(r, "conntrack", "-F")
	}
}

// Cut drops all that goes to the site and comes from it, without a word; Mend ends that.
func (h *Host) Cut() {
	h.lab.t.Helper()
	h.drop("")
}

// BlockUDP drops the site's UDP, both ways; Mend ends that.
func (h *Host) BlockUDP() {
	h.lab.t.Helper()
	h.drop("meta l4proto udp")
}

// BlockAllButWeb drops what is not TCP from or to the ports 80 and 443; Mend ends that.
func (h *Host) BlockAllButWeb() {
	h.lab.t.Helper()
	h.drop("meta l4proto udp", "tcp dport != { 80, 443 } tcp sport != { 80, 443 }")
}

func (h *Host) drop(what ...string) {
	h.lab.t.Helper()
	if len(what) == 0 {
		what = []string{""}
	}
	rules := ""
	for _, w := range what {
		rules += fmt.Sprintf("iifname s%d %s drop\noifname s%d %s drop\n", h.site, w, h.site, w)
	}
	h.lab.nft(h.lab.core, fmt.Sprintf("table inet site%d {\nchain forward {\ntype filter hook forward priority 0;\n%s}\n}", h.site, rules))
}

// Mend ends what Cut and the others did to the site.
func (h *Host) Mend() {
	h.lab.t.Helper()
	h.lab.nft(h.lab.core, fmt.Sprintf("delete table inet site%d", h.site))
}

// Move gives the host another address in its home, as a change of network does. With
// reset, TCP is told so; else the old connections just lead nowhere.
func (h *Host) Move(reset bool) {
	l := h.lab
	l.t.Helper()
	old := fmt.Sprintf("%s%d", inside, 9+h.number)
	if reset {
		l.nft(h.ns, fmt.Sprintf("table ip gone {\nchain out { type filter hook output priority 0; ip saddr %s meta l4proto tcp reject with tcp reset; }\n}", old))
		time.Sleep(50 * time.Millisecond)
	}
	h.home.hosts++
	h.number = h.home.hosts
	l.run("ip", "-n", h.ns, "addr", "del", old+"/24", "dev", h.dev)
	l.address(h.ns, h.dev, fmt.Sprintf("%s%d/24", inside, 9+h.number))
	l.route(h.ns, lan)
}
