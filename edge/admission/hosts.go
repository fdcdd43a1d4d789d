package admission

import (
	"fmt"
	"net/url"
	"slices"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// ValidHost returns an error unless h can stand in Policy.Hosts.
func ValidHost(h string) error {
	if u, err := url.Parse("//" + h); err != nil || h == "" || u.Host != h || u.Hostname() == "" {
		return fmt.Errorf("hosts %q: write a name as it stands in URLs, such as video.example.com, v6.example.com:8443 or [2001:db8::1]", h)
	}
	return nil
}

// CanonicalHost returns the host that a request for host is taken to be for: the first of
// Hosts for any of them, else the host itself. It is in lower case, without the default port.
func (p *Policy) CanonicalHost(host string, https bool) string {
	host = manifest.CanonicalHost(host, https)
	if slices.ContainsFunc(p.Hosts, func(h string) bool { return manifest.CanonicalHost(h, https) == host }) {
		return manifest.CanonicalHost(p.Hosts[0], https)
	}
	return host
}
