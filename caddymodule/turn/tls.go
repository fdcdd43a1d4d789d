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

// chosen returns the configuration of the first server that has a certificate for the
// client, else that of the first which takes it at all.
func chosen(sites []*tls.Config, hello *tls.ClientHelloInfo) (first *tls.Config, err error) {
	for _, site := range sites {
		c, cerr := site.GetConfigForClient(hello)
		if cerr != nil || c == nil {
			err = cerr
			continue
		}
		if len(sites) == 1 {
			return c, nil
		}
		if c.GetCertificate != nil {
			if _, cerr := c.GetCertificate(hello); cerr == nil {
				return c, nil
			}
		}
		if first == nil {
			first = c
		}
	}
	if first != nil {
		return first, nil
	}
	return nil, err
}
