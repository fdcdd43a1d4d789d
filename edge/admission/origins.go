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
	if _, ok := parseOrigin(o); !ok && o != "*" {
		return fmt.Errorf("origins %q: write scheme and host, such as https://www.example.com, or *", o)
	}
	return nil
}

// parseOrigin reads an Origin; ok is false for "null" and what is none.
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
	named := slices.ContainsFunc(p.Origins, func(o string) bool { return strings.EqualFold(o, origin) })
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
