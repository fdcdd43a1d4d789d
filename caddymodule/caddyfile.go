package caddymodule

import (
	"math"
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/caddymodule/turn"
	"github.com/viewmesh/viewmesh/caddymodule/viewertokens"
	"github.com/viewmesh/viewmesh/edge/admission"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("mesh", parseGlobal)
	httpcaddyfile.RegisterHandlerDirective("mesh", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("mesh", httpcaddyfile.After, "encode")
}

// parseGlobal reads the global option:
//
//	mesh {
//		stun      LISTEN|off
//		keys_file FILE
//		turn { ... }
//	}
//
// Package turn describes the block turn.
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next()
	if existing != nil {
		return nil, d.Err("the global option mesh is there twice")
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	var a App
	err := option.Parse(d, "the global option mesh", map[string]option.Func{
		"stun": func(d *caddyfile.Dispenser) error {
			if err := option.One(d, &a.STUN); err != nil || a.STUN == "off" {
				return err
			}
			network, _, err := turn.ParseListen(a.STUN)
			if err == nil && network != "udp" {
				return d.Errf("stun %q: STUN is served over udp", a.STUN)
			}
			return option.Wrap(d, err)
		},
		"keys_file": option.String(&a.KeysFile),
		"turn": func(d *caddyfile.Dispenser) error {
			a.TURN = &turn.Config{}
			return a.TURN.UnmarshalCaddyfile(d)
		},
	})
	if err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "mesh", Value: caddyconfig.JSON(&a, nil)}, nil
}

// parseDirective reads the directive:
//
//	mesh [MATCHER] {
//		path              PATH
//		share             all|encrypted_only|none
//		exclude           MATCHER...
//		ads               origin_only|share
//		token             FORMAT {
//			require|observe|off
//			...
//		}
//		upload_limit      SIZE
//		upload_ratio      NUMBER
//		neighbors         N
//		max_told          N
//		origins           ORIGIN...
//		relay_only
//		session_ttl       DURATION
//		announce_interval DURATION
//		report_interval   DURATION
//		stats             [on|off]
//		max_sessions      N
//	}
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	m := new(Handler)
	return m, m.UnmarshalCaddyfile(h.Dispenser)
}

// UnmarshalCaddyfile reads the directive; see parseDirective for its syntax.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Parse(d, "mesh", map[string]option.Func{
		"path": option.String(&h.Path),
		"share": func(d *caddyfile.Dispenser) error {
			if err := option.One(d, &h.Share); err != nil {
				return err
			}
			switch h.Share {
			case admission.ShareAll, admission.ShareEncryptedOnly, admission.ShareNone:
				return nil
			}
			return d.Errf("share %q: give all, encrypted_only or none", h.Share)
		},
		"exclude": func(d *caddyfile.Dispenser) error {
			set, err := caddyhttp.ParseCaddyfileNestedMatcherSet(d)
			if err != nil {
				return option.Wrap(d, err)
			}
			if len(set) == 0 {
				return d.Err("exclude needs a matcher, such as: exclude path /ads/*")
			}
			h.ExcludeRaw = append(h.ExcludeRaw, set)
			return nil
		},
		"ads": option.OneOf(&h.Ads, admission.AdsOriginOnly, admission.AdsShare),
		"token": func(d *caddyfile.Dispenser) error {
			h.Token = &viewertokens.Config{}
			return h.Token.UnmarshalCaddyfile(d)
		},
		"upload_limit": option.Size(&h.UploadLimit),
		"upload_ratio": func(d *caddyfile.Dispenser) error {
			var s string
			if err := option.One(d, &s); err != nil {
				return err
			}
			f, err := strconv.ParseFloat(s, 64)
			if err != nil || f < 0 || math.IsInf(f, 0) || math.IsNaN(f) {
				return d.Errf("upload_ratio %q: give a number, 1 for as much as was received", s)
			}
			h.UploadRatio = f
			return nil
		},
		"neighbors": option.Int(&h.Neighbors),
		"max_told":  option.Int(&h.MaxTold),
		"origins": func(d *caddyfile.Dispenser) error {
			if err := option.List(&h.Origins)(d); err != nil {
				return err
			}
			for _, o := range h.Origins {
				if err := admission.ValidOrigin(o); err != nil {
					return option.Wrap(d, err)
				}
			}
			return nil
		},
		"relay_only":        option.Flag(&h.RelayOnly),
		"session_ttl":       option.Duration(&h.SessionTTL),
		"announce_interval": option.Duration(&h.AnnounceInterval),
		"report_interval":   option.Duration(&h.ReportInterval),
		"stats":             option.Flag(&h.Stats),
		"max_sessions":      option.Int(&h.MaxSessions),
	}, "exclude", "origins")
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
