package caddymodule

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// sameHost compares the host of an Origin with the host of a request; the
// default port of the scheme may be missing in either.
func sameHost(origin *url.URL, host string) bool {
	port := map[string]string{"http": ":80", "https": ":443"}[origin.Scheme]
	trim := func(h string) string { return strings.TrimSuffix(strings.ToLower(h), port) }
	return port != "" && trim(origin.Host) == trim(host)
}

// parseOrigin reads an Origin; ok is false for "null" and what is none.
func parseOrigin(s string) (*url.URL, bool) {
	u, err := url.Parse(s)
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
		return nil, false
	}
	return u, true
}

// cors sets the CORS header fields (Fetch standard, section 3.2) and says whether
// the page that sends a request may use the mesh of this site: one of the same
// host, one of Origins, or none (no browser). What is read with a viewer's cookies
// is for pages of hosts that Origins names: "*" is not enough.
func (h *Handler) cors(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" {
		return true
	}
	u, ok := parseOrigin(origin)
	named := slices.ContainsFunc(h.Origins, func(o string) bool { return strings.EqualFold(o, origin) })
	if !named && !slices.Contains(h.Origins, "*") && !(ok && sameHost(u, r.Host)) {
		return false
	}
	w.Header().Set("Access-Control-Allow-Origin", origin)
	w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
	if named {
		w.Header().Set("Access-Control-Allow-Credentials", "true")
	}
	return true
}

// preflight answers OPTIONS.
func (h *Handler) preflight(w http.ResponseWriter, methods string) error {
	hd := w.Header()
	hd.Set("Access-Control-Allow-Methods", methods)
	hd.Set("Access-Control-Allow-Headers", "Content-Type, Authorization")
	hd.Set("Access-Control-Max-Age", "600")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// statementQuery reads the query of GET /mesh/segment.
func statementQuery(r *http.Request) (path string, which byteRange, bad *signal.FieldError) {
	q := r.URL.Query()
	path = q.Get("path")
	if !strings.HasPrefix(path, "/") {
		return "", which, &signal.FieldError{Field: "path", Detail: "must be the escaped path of a segment, from the first slash"}
	}
	for _, f := range []struct {
		name string
		to   *int64
	}{{"offset", &which.offset}, {"length", &which.length}} {
		s := q.Get(f.name)
		if s == "" {
			continue
		}
		n, err := strconv.ParseInt(s, 10, 64)
		if err != nil || n < 0 {
			return "", which, &signal.FieldError{Field: f.name, Detail: "must be a number of bytes"}
		}
		*f.to = n
	}
	return path, which, nil
}

// asIfFor is r as it would be were it for another path, so that a matcher can
// look at it.
func asIfFor(r *http.Request, escaped string) *http.Request {
	u, err := url.Parse(escaped)
	if err != nil {
		return r
	}
	c := *r
	c.URL = &url.URL{Path: u.Path, RawPath: u.RawPath}
	c.RequestURI = escaped
	c.Method = http.MethodGet
	return &c
}
