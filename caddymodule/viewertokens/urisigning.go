package viewertokens

import (
	"context"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/tokens"
)

func init() { caddy.RegisterModule(&URISigning{}) }

// URISigning verifies viewer tokens by RFC 9246, URI Signing: in the path, the
// query or a cookie, with renewal. Refusals are 403.
type URISigning struct {
	TokenKeys

	// Alg lists the algorithms to accept, of ES256, EdDSA, RS256 and HS256. Default:
	// the first three.
	Alg []string `json:"alg,omitempty"`

	// Audience are the names that this site goes by in aud. A token for others is
	// refused, and one without aud if there are any. Default: none.
	Audience []string `json:"audience,omitempty"`

	// Required are claims that a token must have beside cdniuc. Default: exp; "none"
	// as the only one asks for none, as the RFC does.
	Required []string `json:"required,omitempty"`

	// Attribute is the name of the parameter in path or query. Default:
	// URISigningPackage.
	Attribute string `json:"attribute,omitempty"`

	// Cookie is the name of the cookie. Default: URISigningPackage.
	Cookie string `json:"cookie,omitempty"`

	// CookieDomain is the Domain of renewal cookies. Default: none, the host alone.
	CookieDomain string `json:"cookie_domain,omitempty"`

	// CookieSameSite is the SameSite of renewal cookies: None, Lax or Strict.
	// Default: None with https, Lax with http.
	CookieSameSite string `json:"cookie_same_site,omitempty"`

	// JWTHeader is the encoded header of tokens that come without one (RFC 9246,
	// section 4.4). Default: none.
	JWTHeader string `json:"jwt_header,omitempty"`

	// DecryptFile is a file of keys with use "enc", for cdniip and sub. Default:
	// none, and then tokens with cdniip are refused.
	DecryptFile string `json:"decrypt_file,omitempty"`

	// RenewFile is a file with a private key or secret that signs renewals; the
	// first that can sign is taken. Default: none, tokens are not renewed.
	RenewFile string `json:"renew_file,omitempty"`

	// RenewIssuer replaces iss in renewed tokens. Default: it stays.
	RenewIssuer string `json:"renew_issuer,omitempty"`

	// Replay is how many used jti are remembered. Default: 0, tokens with jti are
	// refused. A jti makes a token good for one request of each path, and for no
	// session.
	Replay int `json:"replay,omitempty"`

	// ReplayFile is the file in which used jti are kept, for a restart. Default:
	// mesh/used_tokens in Caddy's storage, if that is a folder, or its data directory.
	ReplayFile string `json:"replay_file,omitempty"`

	// Remember is how many verified tokens are remembered, at 2 to 6 KiB each.
	// Default: 16384.
	Remember int `json:"remember,omitempty"`

	viewer tokens.Viewer
	used   string // file of the store that Cleanup gives back
}

// CaddyModule says what this module is.
func (*URISigning) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mesh.tokens.urisigning", New: func() caddy.Module { return new(URISigning) }}
}

// Provision loads the keys.
func (u *URISigning) Provision(ctx caddy.Context) error {
	if err := option.Expand(u); err != nil {
		return fmt.Errorf("urisigning: %w", err)
	}
	trust, err := u.trust()
	if err != nil {
		return fmt.Errorf("urisigning: %w", err)
	}
	config := tokens.URISigningConfig{
		Trust: trust, Algorithms: u.Alg, Audience: u.Audience, Required: u.Required,
		Attribute: u.Attribute, Cookie: u.Cookie, Header: u.JWTHeader,
		CookieDomain: u.CookieDomain, CookieSameSite: u.CookieSameSite, Remember: u.Remember, Narrow: u.Narrow,
	}
	switch {
	case len(u.Required) == 0:
		config.Required = []string{"exp"}
	case len(u.Required) == 1 && u.Required[0] == "none":
		config.Required = nil
	}
	if u.Replay > 0 {
		file := u.ReplayFile
		if file == "" {
			file = defaultUsedFile(ctx.Storage())
		}
		if config.Replay, err = openUsed(file, u.Replay); err != nil {
			return fmt.Errorf("urisigning: replay_file: %w", err)
		}
		u.used = file
	}
	if u.DecryptFile != "" {
		if config.Decrypt, err = readKeySet(u.DecryptFile); err != nil {
			return fmt.Errorf("urisigning: decrypt_file: %w", err)
		}
	}
	if u.RenewFile != "" {
		set, err := readKeySet(u.RenewFile)
		if err != nil {
			return fmt.Errorf("urisigning: renew_file: %w", err)
		}
		if config.Signer, err = tokens.NewSigner(set, ""); err != nil {
			return fmt.Errorf("urisigning: renew_file: %w", err)
		}
		config.Signer.Issuer = u.RenewIssuer
	}
	v, err := tokens.NewURISigning(config)
	if err != nil {
		return err
	}
	u.viewer = v
	return nil
}

// Cleanup ends the fetches of keys, and gives the store of used tokens back.
func (u *URISigning) Cleanup() error {
	u.close()
	if u.used == "" {
		return nil
	}
	file := u.used
	u.used = ""
	return closeUsed(file)
}

// Trusts implements tokens.Viewer.
func (u *URISigning) Trusts(ctx context.Context, key [32]byte) (trusted, known bool) {
	return u.viewer.Trusts(ctx, key)
}

// Parameters implements tokens.Viewer.
func (u *URISigning) Parameters() []string { return u.viewer.Parameters() }

// Verify checks the token of a request.
func (u *URISigning) Verify(ctx context.Context, r tokens.Request) (tokens.Entitlement, error) {
	return orNone(ctx, u.viewer, r)
}

var (
	_ tokens.Viewer         = (*URISigning)(nil)
	_ caddy.Provisioner     = (*URISigning)(nil)
	_ caddy.CleanerUpper    = (*URISigning)(nil)
	_ caddyfile.Unmarshaler = (*URISigning)(nil)
)
