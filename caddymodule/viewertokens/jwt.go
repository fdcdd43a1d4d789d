package viewertokens

import (
	"context"
	"fmt"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/tokens"
)

func init() { caddy.RegisterModule(&JWT{}) }

// JWT verifies viewer tokens that are plain JWTs (RFC 7519). Refusals are 401
// where another token would help, and 403 where this viewer may not have this.
type JWT struct {
	TokenKeys

	// Alg lists the algorithms to accept, of HS256, ES256, RS256 and EdDSA.
	// Required.
	Alg []string `json:"alg,omitempty"`

	// Audience are the names that this site goes by in aud. A token for others is
	// refused, and one without aud if there are any. Default: none.
	Audience []string `json:"audience,omitempty"`

	// From are the places to look for a token, in order: query, header, cookie or
	// path, and the name there. Default: header Authorization.
	From []TokenPlace `json:"from,omitempty"`

	// PathsClaim is the claim that lists the allowed paths, as prefixes on whole
	// segments. A token without it is then refused. Default: none, a good token
	// allows every path.
	PathsClaim string `json:"paths_claim,omitempty"`

	// Type is what typ must be, such as at+jwt. Default: any.
	Type string `json:"type,omitempty"`

	// Required are further claims that a token must have. Default: none; exp always
	// is, unless AllowNoExpiry.
	Required []string `json:"required,omitempty"`

	// AllowNoExpiry accepts tokens without exp. Default: false.
	AllowNoExpiry bool `json:"allow_no_expiry,omitempty"`

	// Leeway is for clocks that differ, up to 5m. Default: 0.
	Leeway caddy.Duration `json:"leeway,omitempty"`

	// Remember is how many verified tokens are remembered, at 2 KiB each. Default:
	// 16384.
	Remember int `json:"remember,omitempty"`

	viewer tokens.Viewer
}

// TokenPlace is a place where a token may be.
type TokenPlace struct {
	Place string `json:"place"` // query, header, cookie or path
	Name  string `json:"name"`  // of the parameter, field or cookie
}

// CaddyModule says what this module is.
func (*JWT) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mesh.tokens.jwt", New: func() caddy.Module { return new(JWT) }}
}

// Provision loads the keys.
func (j *JWT) Provision(caddy.Context) error {
	if err := option.Expand(j); err != nil {
		return fmt.Errorf("jwt: %w", err)
	}
	trust, err := j.trust()
	if err != nil {
		return fmt.Errorf("jwt: %w", err)
	}
	config := tokens.JWTConfig{
		Trust: trust, Algorithms: j.Alg, Audience: j.Audience, PathsClaim: j.PathsClaim, Type: j.Type,
		Required: j.Required, AllowNoExpiry: j.AllowNoExpiry, Leeway: time.Duration(j.Leeway), Remember: j.Remember, Narrow: j.Narrow,
	}
	for _, from := range j.From {
		config.From = append(config.From, tokens.Lookup{Place: tokens.Place(from.Place), Name: from.Name})
	}
	v, err := tokens.NewJWT(config)
	if err != nil {
		return err
	}
	j.viewer = v
	return nil
}

// Cleanup ends the fetches of keys.
func (j *JWT) Cleanup() error {
	j.close()
	return nil
}

// Trusts implements tokens.Viewer.
func (j *JWT) Trusts(ctx context.Context, key [32]byte) (trusted, known bool) {
	return j.viewer.Trusts(ctx, key)
}

// Parameters implements tokens.Viewer.
func (j *JWT) Parameters() []string { return j.viewer.Parameters() }

// Verify checks the token of a request.
func (j *JWT) Verify(ctx context.Context, r tokens.Request) (tokens.Entitlement, error) {
	return orNone(ctx, j.viewer, r)
}

var (
	_ tokens.Viewer         = (*JWT)(nil)
	_ caddy.Provisioner     = (*JWT)(nil)
	_ caddy.CleanerUpper    = (*JWT)(nil)
	_ caddyfile.Unmarshaler = (*JWT)(nil)
)
