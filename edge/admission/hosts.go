package admission

import (
	"fmt"
	"net/url"
)

// ValidHost returns an error unless h can stand in Policy.Hosts.
func ValidHost(h string) error {
	if u, err := url.Parse("//" + h); err != nil || h == "" || u.Host != h || u.Hostname() == "" {
		return fmt.Errorf("hosts %q: write a name as it stands in URLs, such as video.example.com, v6.example.com:8443 or [2001:db8::1]", h)
	}
	return nil
}
