package caddymodule

import (
	"fmt"
	"net/http"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/edge/insight"
)

// Dashboard shows a site's figures at PATH/dashboard, and offers them below PATH/data. With
// neither a token nor a matcher only the holders of a link may read them (POST /mesh/link of
// the admin API).
type Dashboard struct {
	// Token is a bearer token that may read. Default: none.
	Token string `json:"token,omitempty"`

	// AllowRaw are matchers of requests that may read without a token, such as
	// remote_ip. Default: none.
	AllowRaw caddyhttp.RawMatcherSets `json:"allow,omitempty" caddy:"namespace=http.matchers"`
}

// access loads the matchers.
func (b *Dashboard) access(ctx caddy.Context) (*insight.Access, error) {
	a := &insight.Access{Token: b.Token}
	if b.AllowRaw == nil {
		return a, nil
	}
	sets, err := ctx.LoadModule(b, "AllowRaw")
	if err != nil {
		return nil, fmt.Errorf("load the matchers of dashboard: %w", err)
	}
	var allow caddyhttp.MatcherSets
	if err := allow.FromInterface(sets); err != nil {
		return nil, fmt.Errorf("load the matchers of dashboard: %w", err)
	}
	a.Allow = func(r *http.Request) bool {
		ok, err := allow.AnyMatchWithError(r)
		return err == nil && ok
	}
	return a, nil
}

// UnmarshalCaddyfile reads the option:
//
//	dashboard {
//		token TOKEN
//		allow MATCHER...
//	}
func (b *Dashboard) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Parse(d, "dashboard", map[string]option.Func{
		"token": option.String(&b.Token),
		"allow": func(d *caddyfile.Dispenser) error {
			set, err := caddyhttp.ParseCaddyfileNestedMatcherSet(d)
			if err != nil {
				return option.Wrap(d, err)
			}
			if len(set) == 0 {
				return d.Err("allow needs a matcher, such as: allow remote_ip private_ranges")
			}
			b.AllowRaw = append(b.AllowRaw, set)
			return nil
		},
	}, "allow")
}

var _ caddyfile.Unmarshaler = (*Dashboard)(nil)
