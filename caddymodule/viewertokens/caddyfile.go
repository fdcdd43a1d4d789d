package viewertokens

import (
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/tokens"
)

// UnmarshalCaddyfile reads the option token of the directive. The line about
// enforcement is for c, the rest is for the module of the format.
//
//	token FORMAT {
//		require|observe|off
//		...
//	}
func (c *Config) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("token needs a format: urisigning or jwt")
	}
	format := d.Val()
	segment, err := c.takeEnforce(d)
	if err != nil {
		return err
	}
	inner := caddyfile.NewDispenser(segment)
	inner.Next()
	unm, err := caddyfile.UnmarshalModule(inner, "mesh.tokens."+format)
	if err != nil {
		return err
	}
	v, ok := unm.(tokens.Viewer)
	if !ok {
		return d.Errf("token %s: the module verifies no viewer tokens", format)
	}
	c.VerifierRaw = caddyconfig.JSONModuleObject(v, "format", format, nil)
	return nil
}

// takeEnforce returns the rest of d's segment without the lines require, observe
// or off.
func (c *Config) takeEnforce(d *caddyfile.Dispenser) (caddyfile.Segment, error) {
	all := d.NextSegment()
	var rest caddyfile.Segment
	depth := 0
	for i, tok := range all {
		first := i > 0 && (tok.Line != all[i-1].Line || all[i-1].Text == "{")
		alone := i+1 == len(all) || all[i+1].Line != tok.Line || all[i+1].Text == "}"
		switch {
		case tok.Text == "{":
			depth++
		case tok.Text == "}":
			depth--
		case depth == 1 && first && slices.Contains([]string{admission.EnforceRequire, admission.EnforceObserve, admission.EnforceOff}, tok.Text):
			if c.Enforce != "" {
				return nil, at(tok).Errf("token has both %s and %s", c.Enforce, tok.Text)
			}
			if !alone {
				return nil, at(tok).Errf("%s takes no argument", tok.Text)
			}
			c.Enforce = tok.Text
			continue
		}
		rest = append(rest, tok)
	}
	return rest, nil
}

// at is a dispenser for errors at a token.
func at(tok caddyfile.Token) *caddyfile.Dispenser {
	d := caddyfile.NewDispenser([]caddyfile.Token{tok})
	d.Next()
	return d
}

// keyOptions are those that both formats have.
func (k *TokenKeys) keyOptions(alg, audience, required *[]string, remember *int) map[string]option.Func {
	return map[string]option.Func{
		"jwks_file":       option.List(&k.JWKSFile),
		"jwks_url":        option.List(&k.JWKSURL),
		"jwks_allow_http": option.Flag(&k.JWKSAllowHTTP),
		"jwks_refresh":    option.Duration(&k.JWKSRefresh),
		"secret":          option.String(&k.Secret),
		"issuer":          option.List(&k.Issuer),
		"narrow":          option.Flag(&k.Narrow),
		"alg":             algOption(alg),
		"audience":        option.List(audience),
		"required":        option.List(required),
		"remember":        option.Int(remember),
	}
}

// repeatableKeyOptions may be there several times.
var repeatableKeyOptions = []string{"jwks_file", "jwks_url", "issuer", "alg", "audience", "required"}

// UnmarshalCaddyfile reads the format:
//
//	urisigning {
//		jwks_file        FILE...
//		jwks_url         URL...
//		jwks_allow_http  [on|off]
//		jwks_refresh     DURATION
//		secret           SECRET
//		issuer           ISSUER...
//		narrow           [on|off]
//		audience         NAME...
//		alg              ALGORITHM...
//		required         CLAIM...
//		remember         N
//		attribute        NAME
//		cookie           NAME
//		cookie_domain    DOMAIN
//		cookie_same_site None|Lax|Strict
//		jwt_header       HEADER
//		decrypt_file     FILE
//		renew_file       FILE
//		renew_issuer     ISSUER
//		replay           N
//		replay_file      FILE
//	}
func (u *URISigning) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	options := u.keyOptions(&u.Alg, &u.Audience, &u.Required, &u.Remember)
	for name, parse := range map[string]option.Func{
		"attribute":        option.String(&u.Attribute),
		"cookie":           option.String(&u.Cookie),
		"cookie_domain":    option.String(&u.CookieDomain),
		"cookie_same_site": option.OneOf(&u.CookieSameSite, "None", "Lax", "Strict"),
		"jwt_header":       option.String(&u.JWTHeader),
		"decrypt_file":     option.String(&u.DecryptFile),
		"renew_file":       option.String(&u.RenewFile),
		"renew_issuer":     option.String(&u.RenewIssuer),
		"replay":           option.Int(&u.Replay),
		"replay_file":      option.String(&u.ReplayFile),
	} {
		options[name] = parse
	}
	if err := option.Parse(d, "token urisigning", options, repeatableKeyOptions...); err != nil {
		return err
	}
	return u.hasKeys(d)
}

// UnmarshalCaddyfile reads the format:
//
//	jwt {
//		(jwks_file to remember as for urisigning)
//		from            query|header|cookie|path NAME
//		paths_claim     CLAIM
//		type            TYPE
//		allow_no_expiry [on|off]
//		leeway          DURATION
//	}
func (j *JWT) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	options := j.keyOptions(&j.Alg, &j.Audience, &j.Required, &j.Remember)
	for name, parse := range map[string]option.Func{
		"from":            j.parseFrom,
		"paths_claim":     option.String(&j.PathsClaim),
		"type":            option.String(&j.Type),
		"allow_no_expiry": option.Flag(&j.AllowNoExpiry),
		"leeway":          option.Duration(&j.Leeway),
	} {
		options[name] = parse
	}
	if err := option.Parse(d, "token jwt", options, append([]string{"from"}, repeatableKeyOptions...)...); err != nil {
		return err
	}
	if len(j.Alg) == 0 {
		return d.Err("token jwt needs alg: the algorithms to accept, of HS256, ES256, RS256 and EdDSA")
	}
	return j.hasKeys(d)
}

func (k *TokenKeys) hasKeys(d *caddyfile.Dispenser) error {
	if len(k.JWKSFile) == 0 && len(k.JWKSURL) == 0 && k.Secret == "" {
		return d.Err("token needs keys: jwks_file, jwks_url or secret")
	}
	return nil
}

func (j *JWT) parseFrom(d *caddyfile.Dispenser) error {
	var from TokenPlace
	if !d.AllArgs(&from.Place, &from.Name) {
		return d.ArgErr()
	}
	switch tokens.Place(from.Place) {
	case tokens.InQuery, tokens.InHeader, tokens.InCookie, tokens.InPath:
	default:
		return d.Errf("from %q: give query, header, cookie or path, and a name", from.Place)
	}
	j.From = append(j.From, from)
	return nil
}

func algOption(to *[]string) option.Func {
	return func(d *caddyfile.Dispenser) error {
		if err := option.List(to)(d); err != nil {
			return err
		}
		for _, alg := range *to {
			switch alg {
			case tokens.HS256, tokens.ES256, tokens.RS256, tokens.EdDSA:
			default:
				if option.IsLater(alg) {
					continue
				}
				return d.Errf("alg %q: give HS256, ES256, RS256 or EdDSA", alg)
			}
		}
		return nil
	}
}

var _ caddy.Module = (*URISigning)(nil)
