// Package lab builds networks out of the kernel's own parts and plays in them: an edge, and
// viewers behind the routers, firewalls and links that viewers have. Each host is one line:
//
//	l := lab.New(t)
//	edge := l.Edge(lab.EdgeConfig{Relay: lab.Relay3478})
//	a, b := l.Host(lab.Symmetric), l.Host(lab.Firewall)
//	p := a.Peer(edge, "")
//
// The hosts are network namespaces. All addresses are of public ranges that are no special
// ones (RFC 6890), because a relay refuses those, but nothing leaves the machine: no
// namespace is joined with the machine's own. The names have the process id in them, and
// all is removed at the end of the test, whether it failed or not.
//
// A site stands behind a link to the core, of which packets may be held up or lost (link.go
// carries them, since many kernels lack netem). Its routers are nftables' (router.go).
package lab
