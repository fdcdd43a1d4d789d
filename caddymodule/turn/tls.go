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
// HTTPS sites, default_sni among them, with the protocols of TURN. All apps are
// provisioned when it is called.
func (r *Relay) siteTLS() *tls.Config {
	app, err := r.ctx.AppIfConfigured("http")
	if err != nil {
		return r.own.tls
	}
	http, ok := app.(*caddyhttp.App)
	if !ok {
		return r.own.tls
	}
	names := make([]string, 0, len(http.Servers))
	for name := range http.Servers {
		names = append(names, name)
	}
	slices.Sort(names)
	var specific, fallback caddytls.ConnectionPolicies
	for _, name := range names {
		for _, p := range http.Servers[name].TLSConnPolicies {
			if p.TLSConfig == nil {
				continue // not provisioned, as the config is of no use
			}
			if len(p.MatchersRaw) > 0 {
				specific = append(specific, p)
			} else {
				fallback = append(fallback, p)
			}
		}
	}
	policies := append(specific, fallback...)
	if len(policies) == 0 {
		return r.own.tls
	}
	sites := policies.TLSConfig(r.ctx)
	return &tls.Config{GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		c, err := sites.GetConfigForClient(hello)
		if err != nil || c == nil {
			return c, err
		}
		c = c.Clone()
		c.NextProtos = protocols
		return c, nil
	}}
}
