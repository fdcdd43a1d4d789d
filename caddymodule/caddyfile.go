package caddymodule

import (
	"strings"

	"github.com/caddyserver/caddy/v2"
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
//		locator   SOURCE ...
//		turn { ... }
//		ice_servers URL... { ... }
//	}
//
// Package turn describes the blocks turn and ice_servers, package locators the sources.
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
			if err := option.One(d, &a.STUN); err != nil || a.STUN == "off" || option.IsLater(a.STUN) {
				return err
			}
			network, _, err := turn.ParseListen(a.STUN)
			if err == nil && network != "udp" {
				return d.Errf("stun %q: STUN is served over udp", a.STUN)
			}
			return option.Wrap(d, err)
		},
		"keys_file": option.String(&a.KeysFile),
		"locator":   a.UnmarshalLocator,
		"ice_servers": func(d *caddyfile.Dispenser) error {
			s, err := turn.UnmarshalICEServer(d)
			a.ICEServers = append(a.ICEServers, s)
			return err
		},
		"turn": func(d *caddyfile.Dispenser) error {
			a.TURN = &turn.Config{}
			return a.TURN.UnmarshalCaddyfile(d)
		},
	}, "ice_servers", "locator")
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
//		viewer_params     NAME...
//		viewer_path       REGEXP
//		upload_limit      SIZE
//		upload_ratio      NUMBER
//		neighbors         N
//		max_told          N
//		hosts             NAME...
//		site              NAME [NETWORK...] {
//			mode on|receive_only|off
//			wan  [on|off]
//		}
//		sites_file        FILE
//		site_id           claim|page|PLACEHOLDER...
//		rule              on|receive_only|off {
//			...
//		}
//		ramp              SHARE
//		monitor           [on|off]
//		min_viewers       N
//		same_asn_only     [on|off]
//		same_country_only [on|off]
//		origins           ORIGIN...
//		relay_only
//		tracker           on|strict|off
//		session_ttl       DURATION
//		announce_interval DURATION
//		report_interval   DURATION
//		capacity          SIZE
//		overload          refuse|degrade|pass
//		stats             [on|off]
//		dashboard {
//			token TOKEN
//			allow MATCHER...
//		}
//		max_sessions      N
//	}
func parseDirective(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
	m := new(Handler)
	return m, m.parse(h.Dispenser, h.MatcherToken)
}

// UnmarshalCaddyfile reads the directive; see parseDirective for its syntax.
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	return h.parse(d, func() (caddy.ModuleMap, bool, error) {
		return nil, false, d.Errf("exclude %s: named matchers are known to the directive only; write the matcher itself, such as: exclude path /ads/*", d.Val())
	})
}

// parse reads the directive. named returns the matcher that the next argument names.
func (h *Handler) parse(d *caddyfile.Dispenser, named func() (caddy.ModuleMap, bool, error)) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Parse(d, "mesh", map[string]option.Func{
		"path":  option.String(&h.Path),
		"share": option.OneOf(&h.Share, admission.ShareAll, admission.ShareEncryptedOnly, admission.ShareNone),
		"exclude": func(d *caddyfile.Dispenser) error {
			if d.NextArg() {
				short := strings.HasPrefix(d.Val(), "@") || strings.HasPrefix(d.Val(), "/")
				d.Prev()
				if short {
					set, _, err := named()
					if err == nil && d.NextArg() {
						err = d.ArgErr()
					}
					h.ExcludeRaw = append(h.ExcludeRaw, set)
					return option.Wrap(d, err)
				}
			}
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
		"viewer_params": option.List(&h.ViewerParams),
		"viewer_path":   option.String(&h.ViewerPath),
		"upload_limit":  option.Size(&h.UploadLimit),
		"upload_ratio":  option.Float(&h.UploadRatio, "as much as was received"),
		"neighbors":     option.Int(&h.Neighbors),
		"max_told":      option.Int(&h.MaxTold),
		"hosts": func(d *caddyfile.Dispenser) error {
			if err := option.List(&h.Hosts)(d); err != nil {
				return err
			}
			for _, name := range h.Hosts {
				if err := admission.ValidHost(name); err != nil && !option.IsLater(name) {
					return option.Wrap(d, err)
				}
			}
			return nil
		},
		"site": func(d *caddyfile.Dispenser) error {
			h.Sites = append(h.Sites, Site{})
			return h.Sites[len(h.Sites)-1].unmarshal(d)
		},
		"sites_file": option.String(&h.SitesFile),
		"site_id":    option.List(&h.SiteIDs),
		"rule": func(d *caddyfile.Dispenser) error {
			h.Rules = append(h.Rules, Rule{})
			return h.Rules[len(h.Rules)-1].unmarshal(d)
		},
		"ramp": func(d *caddyfile.Dispenser) error {
			if err := option.One(d, &h.Ramp); err != nil || option.IsLater(h.Ramp) {
				return err
			}
			_, err := admission.ParseShare(h.Ramp)
			return option.Wrap(d, err)
		},
		"monitor":           option.Flag(&h.Monitor),
		"min_viewers":       option.Int(&h.MinViewers),
		"same_asn_only":     option.Flag(&h.SameASNOnly),
		"same_country_only": option.Flag(&h.SameCountryOnly),
		"origins": func(d *caddyfile.Dispenser) error {
			if err := option.List(&h.Origins)(d); err != nil {
				return err
			}
			for _, o := range h.Origins {
				if err := admission.ValidOrigin(o); err != nil && !option.IsLater(o) {
					return option.Wrap(d, err)
				}
			}
			return nil
		},
		"relay_only":        option.Flag(&h.RelayOnly),
		"tracker":           option.OneOf(&h.Tracker, admission.TrackerOn, admission.TrackerStrict, admission.TrackerOff),
		"session_ttl":       option.Duration(&h.SessionTTL),
		"announce_interval": option.Duration(&h.AnnounceInterval),
		"report_interval":   option.Duration(&h.ReportInterval),
		"capacity":          option.Size(&h.Capacity),
		"overload":          option.OneOf(&h.Overload, admission.OverloadRefuse, admission.OverloadDegrade, admission.OverloadPass),
		"stats":             option.Flag(&h.Stats),
		"dashboard": func(d *caddyfile.Dispenser) error {
			h.Dashboard = &Dashboard{}
			return h.Dashboard.UnmarshalCaddyfile(d)
		},
		"max_sessions": option.Int(&h.MaxSessions),
	}, "exclude", "hosts", "origins", "rule", "site", "site_id", "viewer_params")
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
