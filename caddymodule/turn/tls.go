package turn

import (
	"crypto/tls"
	"fmt"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/caddyserver/caddy/v2/modules/caddytls"
)

// protocols are what TURN over TLS is called in ALPN (RFC 7443).
var protocols = []string{alpnTURN, alpnSTUN}

// ownTLS is the TLS configuration of tls listeners where no site has one.
func ownTLS(ctx caddy.Context) (*tls.Config, error) {
	policies := caddytls.ConnectionPolicies{{ALPN: protocols}}
	if err := policies.Provision(ctx); err != nil {
		return nil, fmt.Errorf("prepare TLS for turn: %w", err)
	}
	return policies.TLSConfig(ctx), nil
}

// siteTLS is the TLS configuration of tls listeners: the connection policies of the
// HTTPS sites, default_sni among them, with the protocols of TURN; own where there are
// none. All apps are provisioned when it is called.
func siteTLS(ctx caddy.Context, own *tls.Config) *tls.Config {
	http := httpApp(ctx)
	if http == nil {
		return own
	}
	names := make([]string, 0, len(http.Servers))
	for name := range http.Servers {
		names = append(names, name)
	}
	slices.Sort(names)
	var sites []*tls.Config
	for _, name := range names {
		policies := http.Servers[name].TLSConnPolicies
		// Those of a config that could not be provisioned are of no use.
		if len(policies) > 0 && !slices.ContainsFunc(policies, func(p *caddytls.ConnectionPolicy) bool { return p.TLSConfig == nil }) {
			sites = append(sites, policies.TLSConfig(ctx))
		}
	}
	if len(sites) == 0 {
		return own
	}
	return &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := chosen(sites, hello)
		if err != nil || c == nil {
			return c, err
		}
		c = c.Clone()
		c.NextProtos = protocols
		return c, nil
	}}
}

// httpApp returns the HTTP app of a config, or nil. All apps are provisioned when it is
// called.
func httpApp(ctx caddy.Context) *caddyhttp.App {
	app, err := ctx.AppIfConfigured("http")
	if err != nil {
		return nil
	}
	http, _ := app.(*caddyhttp.App)
	return http
}

// nobody is a server name that no policy is for.
const nobody = "nobody.invalid" // RFC 6761, section 6.4

// chosen returns the configuration of the first server with a policy for this very client,
// else that of the first which has a certificate for it, else that of the first which
// takes it at all. As servers share their certificates, the second may find one that
// only a policy of another server is for.
func chosen(sites []*tls.Config, hello *tls.ClientHelloInfo) (*tls.Config, error) {
	other := *hello
	other.ServerName = nobody
	var able, first *tls.Config
	var err error
	for _, site := range sites {
		c, cerr := site.GetConfigForClient(hello)
		if rest, _ := site.GetConfigForClient(&other); c != rest {
			return c, cerr // a policy names the client, and may be to drop it
		}
		if cerr != nil || c == nil {
			err = cerr
			continue
		}
		if first == nil {
			first = c
		}
		if able == nil && c.GetCertificate != nil {
			if _, cerr := c.GetCertificate(hello); cerr == nil {
				able = c
			}
		}
	}
	switch {
	case able != nil:
		return able, nil
	case first != nil:
		return first, nil
	}
	return nil, err
}
