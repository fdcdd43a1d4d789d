package main

import (
	"log/slog"
	"net/http"
	"net/http/cookiejar"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	mesh "github.com/viewmesh/viewmesh/meshcore/signal"
)

// client gives the HTTP client that viewers share. Bodies stay as the origin
// sends them; cookies are kept, because viewer tokens are renewed in them.
func (o *options) client() *http.Client {
	t := http.DefaultTransport.(*http.Transport).Clone()
	t.DisableCompression = true
	t.MaxIdleConnsPerHost = 64
	t.ForceAttemptHTTP2 = true
	jar, _ := cookiejar.New(nil) // no options, no error
	c := &http.Client{Transport: t, Jar: jar}
	if o.token != "" {
		c.Transport = &bearer{t, o.url.Scheme, o.url.Host, o.token}
	}
	return c
}

// viewerConfig is what the flags say of a viewer.
func (o *options) viewerConfig(c *http.Client, log *slog.Logger) viewer.Config {
	return viewer.Config{
		HTTP: c, Log: log, NoMesh: o.noMesh, NoUpload: o.noUpload, RelayOnly: o.relayOnly, Token: o.token,
		Device: mesh.Device{Kind: "desktop", Connection: "ethernet"},
	}
}

// bearer shows a viewer token to one host and to no other.
type bearer struct {
	*http.Transport
	scheme, host, token string
}

// Unwrap gives the transport that does the work.
func (b *bearer) Unwrap() http.RoundTripper { return b.Transport }

// RoundTrip sends a request, with the token if it is for the host.
func (b *bearer) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.URL.Scheme == b.scheme && r.URL.Host == b.host && r.Header.Get("Authorization") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+b.token)
	}
	return b.Transport.RoundTrip(r)
}
