package turn

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/caddymodule/option"
)

// UnmarshalCaddyfile reads the block turn:
//
//	turn {
//		listen           LISTEN...
//		relay_address    IP [IPV6]
//		relay_bind       IP [IPV6]
//		relay_ports      MIN-MAX
//		own_addresses    IP...
//		allow_peers      PREFIX...
//		deny_peers       PREFIX...
//		user_bandwidth   SIZE
//		user_bytes       SIZE
//		user_allocations N
//		total_bandwidth  SIZE
//		total_bytes      SIZE
//		unauth_rate      N|off
//		shared_secret    SECRET...
//		realm            REALM
//		log_addresses    [on|off]
//	}
func (t *Config) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	err := option.Parse(d, "turn", map[string]option.Func{
		"listen":           option.List(&t.Listen),
		"relay_address":    option.Pair(&t.RelayAddress, &t.RelayAddress6),
		"relay_bind":       option.Pair(&t.RelayBind, &t.RelayBind6),
		"relay_ports":      option.String(&t.RelayPorts),
		"own_addresses":    option.List(&t.OwnAddresses),
		"allow_peers":      option.List(&t.AllowPeers),
		"deny_peers":       option.List(&t.DenyPeers),
		"user_bandwidth":   option.Size(&t.UserBandwidth),
		"user_bytes":       option.Size(&t.UserBytes),
		"user_allocations": option.Int(&t.UserAllocations),
		"total_bandwidth":  option.Size(&t.TotalBandwidth),
		"total_bytes":      option.Size(&t.TotalBytes),
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
		"shared_secret": option.List(&t.SharedSecrets),
		"realm":         option.String(&t.Realm),
		"log_addresses": option.Flag(&t.LogAddresses),
	}, "listen", "own_addresses", "allow_peers", "deny_peers")
	if err != nil {
		return err
	}
	if option.HasLater(t) {
		return nil // Provision validates what it stands for
	}
	return option.Wrap(d, t.validate())
}

var _ caddyfile.Unmarshaler = (*Config)(nil)
