package caddymodule

import (
	"math"
	"strconv"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
	"github.com/dustin/go-humanize"
)

func init() {
	httpcaddyfile.RegisterGlobalOption("mesh", parseGlobal)
	httpcaddyfile.RegisterHandlerDirective("mesh", parseDirective)
	httpcaddyfile.RegisterDirectiveOrder("mesh", httpcaddyfile.After, "encode")
}

// option reads the arguments of one option.
type option func(d *caddyfile.Dispenser) error

// parseBlock reads the options of a block. One that is not known, or that comes
// twice, is an error, which names the file and the line.
func parseBlock(d *caddyfile.Dispenser, of string, options map[string]option, repeatable ...string) error {
	seen := map[string]bool{}
	for nesting := d.Nesting(); d.NextBlock(nesting); {
		name := d.Val()
		parse, ok := options[name]
		if !ok {
			return d.Errf("%s has no option %q", of, name)
		}
		again := false
		for _, r := range repeatable {
			again = again || r == name
		}
		if seen[name] && !again {
			return d.Errf("%s has option %q twice", of, name)
		}
		seen[name] = true
		if err := parse(d); err != nil {
			return err
		}
	}
	return nil
}

// parseGlobal reads the global option:
//
//	mesh {
//		stun      LISTEN|off
//		keys_file FILE
//		turn {
//			listen           LISTEN...
//			relay_address    IP [IPV6]
//			relay_bind       IP [IPV6]
//			relay_ports      MIN-MAX
//			own_addresses    IP...
//			allow_peers      PREFIX...
//			deny_peers       PREFIX...
//			user_bandwidth   SIZE
//			user_bytes       SIZE
//			user_allocations N
//			total_bandwidth  SIZE
//			total_bytes      SIZE
//			unauth_rate      N|off
//			shared_secret    SECRET...
//			realm            REALM
//			log_addresses    [on|off]
//		}
//	}
func parseGlobal(d *caddyfile.Dispenser, existing any) (any, error) {
	d.Next()
	if existing != nil {
		return nil, d.Err("the global option mesh is there twice")
	}
	if d.NextArg() {
		return nil, d.ArgErr()
	}
	var a App
	err := parseBlock(d, "the global option mesh", map[string]option{
		"stun": func(d *caddyfile.Dispenser) error {
			if err := oneArg(d, &a.STUN); err != nil || a.STUN == "off" {
				return err
			}
			network, _, err := parseListen(a.STUN)
			if err == nil && network != "udp" {
				return d.Errf("stun %q: STUN is served over udp", a.STUN)
			}
			return wrap(d, err)
		},
		"keys_file": stringOption(&a.KeysFile),
		"turn": func(d *caddyfile.Dispenser) error {
			a.TURN = &TURN{}
			return a.TURN.unmarshal(d)
		},
	})
	if err != nil {
		return nil, err
	}
	return httpcaddyfile.App{Name: "mesh", Value: caddyconfig.JSON(&a, nil)}, nil
}

// unmarshal reads the block turn.
func (t *TURN) unmarshal(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	err := parseBlock(d, "turn", map[string]option{
		"listen":           listOption(&t.Listen),
		"relay_address":    pairOption(&t.RelayAddress, &t.RelayAddress6),
		"relay_bind":       pairOption(&t.RelayBind, &t.RelayBind6),
		"relay_ports":      stringOption(&t.RelayPorts),
		"own_addresses":    listOption(&t.OwnAddresses),
		"allow_peers":      listOption(&t.AllowPeers),
		"deny_peers":       listOption(&t.DenyPeers),
		"user_bandwidth":   sizeOption(&t.UserBandwidth),
		"user_bytes":       sizeOption(&t.UserBytes),
		"user_allocations": intOption(&t.UserAllocations),
		"total_bandwidth":  sizeOption(&t.TotalBandwidth),
		"total_bytes":      sizeOption(&t.TotalBytes),
		"unauth_rate": func(d *caddyfile.Dispenser) error {
			if next := d.RemainingArgs(); len(next) == 1 && next[0] == "off" {
				t.UnauthRate = -1
				return nil
			} else if len(next) != 1 {
				return d.ArgErr()
			}
			n, err := strconv.ParseInt(d.Val(), 10, 32)
			if err != nil || n < 1 {
				return d.Errf("unauth_rate %q: give a number of answers a second, or off", d.Val())
			}
			t.UnauthRate = int(n)
			return nil
		},
		"shared_secret": listOption(&t.SharedSecrets),
		"realm":         stringOption(&t.Realm),
		"log_addresses": flagOption(&t.LogAddresses),
	}, "listen", "own_addresses", "allow_peers", "deny_peers")
	if err != nil {
		return err
	}
	return wrap(d, t.validate())
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
	return parseBlock(d, "mesh", map[string]option{
		"path": stringOption(&h.Path),
		"share": func(d *caddyfile.Dispenser) error {
			if err := oneArg(d, &h.Share); err != nil {
				return err
			}
			switch h.Share {
			case ShareAll, ShareEncryptedOnly, ShareNone:
				return nil
			}
			return d.Errf("share %q: give all, encrypted_only or none", h.Share)
		},
		"exclude": func(d *caddyfile.Dispenser) error {
			set, err := caddyhttp.ParseCaddyfileNestedMatcherSet(d)
			if err != nil {
				return wrap(d, err)
			}
			if len(set) == 0 {
				return d.Err("exclude needs a matcher, such as: exclude path /ads/*")
			}
			h.ExcludeRaw = append(h.ExcludeRaw, set)
			return nil
		},
		"ads":          oneOfOption(&h.Ads, AdsOriginOnly, AdsShare),
		"token":        h.parseToken,
		"upload_limit": sizeOption(&h.UploadLimit),
		"upload_ratio": func(d *caddyfile.Dispenser) error {
			var s string
			if err := oneArg(d, &s); err != nil {
				return err
			}
			f, err := strconv.ParseFloat(s, 64)
			if err != nil || f < 0 || math.IsInf(f, 0) || math.IsNaN(f) {
				return d.Errf("upload_ratio %q: give a number, 1 for as much as was received", s)
			}
			h.UploadRatio = f
			return nil
		},
		"neighbors": intOption(&h.Neighbors),
		"max_told":  intOption(&h.MaxTold),
		"origins": func(d *caddyfile.Dispenser) error {
			if err := listOption(&h.Origins)(d); err != nil {
				return err
			}
			for _, o := range h.Origins {
				if _, ok := parseOrigin(o); !ok && o != "*" {
					return d.Errf("origins %q: give scheme and host, such as https://www.example.com, or *", o)
				}
			}
			return nil
		},
		"relay_only":        flagOption(&h.RelayOnly),
		"session_ttl":       durationOption(&h.SessionTTL),
		"announce_interval": durationOption(&h.AnnounceInterval),
		"report_interval":   durationOption(&h.ReportInterval),
		"stats":             flagOption(&h.Stats),
		"max_sessions":      intOption(&h.MaxSessions),
	}, "exclude", "origins")
}

// wrap gives err the file and the line.
func wrap(d *caddyfile.Dispenser, err error) error {
	if err == nil {
		return nil
	}
	return d.WrapErr(err)
}

// oneArg reads the only argument of an option.
func oneArg(d *caddyfile.Dispenser, to *string) error {
	if !d.AllArgs(to) {
		return d.ArgErr()
	}
	return nil
}

func stringOption(to *string) option {
	return func(d *caddyfile.Dispenser) error { return oneArg(d, to) }
}

// pairOption reads one argument or two.
func pairOption(first, second *string) option {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) < 1 || len(args) > 2 {
			return d.ArgErr()
		}
		*first = args[0]
		if len(args) == 2 {
			*second = args[1]
		}
		return nil
	}
}

func listOption(to *[]string) option {
	return func(d *caddyfile.Dispenser) error {
		args := d.RemainingArgs()
		if len(args) == 0 {
			return d.ArgErr()
		}
		*to = append(*to, args...)
		return nil
	}
}

// flagOption reads nothing or on, which is true, or off.
func flagOption(to *bool) option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		args := d.RemainingArgs()
		switch {
		case len(args) == 0, len(args) == 1 && args[0] == "on":
			*to = true
		case len(args) == 1 && args[0] == "off":
			*to = false
		default:
			return d.Errf("%s: give on or off", name)
		}
		return nil
	}
}

func intOption(to *int) option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var s string
		if err := oneArg(d, &s); err != nil {
			return err
		}
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil || n < 0 {
			return d.Errf("%s %q: give a whole number", name, s)
		}
		*to = int(n)
		return nil
	}
}

// sizeOption reads a number of bytes with or without a unit, such as 2MiB.
func sizeOption(to *int64) option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var s string
		if err := oneArg(d, &s); err != nil {
			return err
		}
		n, err := humanize.ParseBytes(s)
		if err != nil || n > math.MaxInt64/8 {
			return d.Errf("%s %q: give a size, such as 2MiB", name, s)
		}
		*to = int64(n)
		return nil
	}
}

func durationOption(to *caddy.Duration) option {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var s string
		if err := oneArg(d, &s); err != nil {
			return err
		}
		v, err := caddy.ParseDuration(s)
		if err != nil || v < time.Second {
			return d.Errf("%s %q: give a duration of a second or more, such as 10m", name, s)
		}
		*to = caddy.Duration(v)
		return nil
	}
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
