package turn

import (
	"strconv"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/meshcore/signal"
)

// UnmarshalCaddyfile reads the block turn:
//
//	turn {
//		listen           LISTEN...
//		advertise        [NETWORK/]HOST[:PORT]...
//		proxy_protocol {
//			timeout DURATION
//			allow   PREFIX...
//			deny    PREFIX...
//		}
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
//		binding_rate     N|off
//		max_connections  N
//		max_connections_per_source N
//		max_lifetime     DURATION
//		shared_secret    SECRET...
//		realm            REALM
//		audit            [on|off]
//		log_addresses    [on|off]
//	}
func (t *Config) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	err := option.Parse(d, "turn", map[string]option.Func{
		"listen":                     option.List(&t.Listen),
		"advertise":                  option.List(&t.Advertise),
		"proxy_protocol":             t.unmarshalProxy,
		"relay_address":              option.Pair(&t.RelayAddress, &t.RelayAddress6),
		"relay_bind":                 option.Pair(&t.RelayBind, &t.RelayBind6),
		"relay_ports":                option.String(&t.RelayPorts),
		"own_addresses":              option.List(&t.OwnAddresses),
		"allow_peers":                option.List(&t.AllowPeers),
		"deny_peers":                 option.List(&t.DenyPeers),
		"user_bandwidth":             option.Size(&t.UserBandwidth),
		"user_bytes":                 option.Size(&t.UserBytes),
		"user_allocations":           option.Int(&t.UserAllocations),
		"total_bandwidth":            option.Size(&t.TotalBandwidth),
		"total_bytes":                option.Size(&t.TotalBytes),
		"unauth_rate":                rate(&t.UnauthRate),
		"binding_rate":               rate(&t.BindingRate),
		"max_connections":            option.Int(&t.MaxConnections),
		"max_connections_per_source": option.Int(&t.MaxConnectionsPerSource),
		"max_lifetime":               option.Duration(&t.MaxLifetime),
		"audit":                      option.Flag(&t.Audit),
		"shared_secret":              option.List(&t.SharedSecrets),
		"realm":                      option.String(&t.Realm),
		"log_addresses":              option.Flag(&t.LogAddresses),
	}, "listen", "advertise", "own_addresses", "allow_peers", "deny_peers")
	if err != nil {
		return err
	}
	if option.HasLater(t) {
		return nil // Provision validates what it stands for
	}
	return option.Wrap(d, t.validate())
}

// unmarshalProxy reads the block proxy_protocol.
func (t *Config) unmarshalProxy(d *caddyfile.Dispenser) error {
	if d.NextArg() {
		return d.ArgErr()
	}
	p := new(ProxyProtocol)
	t.ProxyProtocol = p
	return option.Parse(d, "proxy_protocol", map[string]option.Func{
		"timeout": option.Duration(&p.Timeout),
		"allow":   option.List(&p.Allow),
		"deny":    option.List(&p.Deny),
	}, "allow", "deny")
}

// rate reads a number of answers a second, or off.
func rate(to *int) option.Func {
	return func(d *caddyfile.Dispenser) error {
		name := d.Val()
		var s string
		if err := option.One(d, &s); err != nil {
			return err
		}
		if s == "off" {
			*to = -1
			return nil
		}
		n, err := strconv.ParseInt(s, 10, 32)
		if err != nil || n < 1 {
			return d.Errf("%s %q: give a number of answers a second, or off", name, s)
		}
		*to = int(n)
		return nil
	}
}

// UnmarshalICEServer reads the option ice_servers of another provider:
//
//	ice_servers URL... {
//		username   NAME
//		credential SECRET
//	}
func UnmarshalICEServer(d *caddyfile.Dispenser) (s signal.ICEServer, err error) {
	if s.URLs = d.RemainingArgs(); len(s.URLs) == 0 {
		return s, d.ArgErr()
	}
	err = option.Parse(d, "ice_servers", map[string]option.Func{
		"username":   option.String(&s.Username),
		"credential": option.String(&s.Credential),
	})
	if err != nil {
		return s, err
	}
	return s, option.Wrap(d, ValidateICEServer(s))
}

var _ caddyfile.Unmarshaler = (*Config)(nil)
