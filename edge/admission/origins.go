package admission

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// ValidOrigin returns an error unless o can stand in Policy.Origins.
func ValidOrigin(o string) error {
	if u, ok := parseOrigin(o); o == "*" || ok && !strings.Contains(strings.TrimPrefix(u.Host, "*."), "*") {
		return nil
	}
	return fmt.Errorf("origins %q: write scheme and host, such as https://www.example.com, https://*.example.com for every host below that one, or *", o)
}

// names reports whether an entry of Policy.Origins names an origin.
func names(entry, origin string) bool {
	before, after, wild := strings.Cut(strings.ToLower(entry), "://*.")
	if !wild {
		return strings.EqualFold(entry, origin)
	}
	scheme, host, _ := strings.Cut(strings.ToLower(origin), "://")
	return scheme == before && len(host) > len(after)+1 && strings.HasSuffix(host, "."+after)
}

// parseOrigin reads an Origin; ok is false for "null" and whatever is not an origin.
func parseOrigin(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, false
	}
	return u, true
}

// sameHost compares the host of an Origin with the host of a request; the
// default port of the scheme may be missing in either.
func sameHost(origin *url.URL, host string) bool {
	port := map[string]string{"http": ":80", "https": ":443"}[origin.Scheme]
	trim := func(h string) string { return strings.TrimSuffix(strings.ToLower(h), port) }
	return port != "" && trim(origin.Host) == trim(host)
}

// CORS sets the CORS header fields (Fetch standard, section 3.2) and reports
// whether the page that sends a request may use the mesh of this site: one of the
// same host, one of Origins, or none (no browser). What is read with a viewer's
// cookies is for pages of hosts that Origins names: "*" is not enough.
func (p *Policy) CORS(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, ok := parseOrigin(origin)
	named := ok && slices.ContainsFunc(p.Origins, func(o string) bool { return names(o, origin) })
	if !named && !slices.Contains(p.Origins, "*") && !(ok && sameHost(u, r.Host)) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	if named {
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}
