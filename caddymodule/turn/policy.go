package turn

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/viewmesh/viewmesh/turnserver"
)

// policyOf returns the policy of a config, which may change over a reload.
func policyOf(opts Options) (turnserver.Policy, error) {
	p := turnserver.Policy{Secrets: [][]byte{opts.Secret}}
	t := opts.TURN
	if t == nil {
		return p, nil
	}
	p.RelayEnabled = true
	p.UserBandwidth, p.UserBytes, p.UserAllocations = t.UserBandwidth, t.UserBytes, t.UserAllocations
	p.TotalBandwidth, p.TotalBytes = t.TotalBandwidth, t.TotalBytes
	p.UnauthRate, p.BindingRate = t.UnauthRate, t.BindingRate
	p.MaxConns, p.MaxConnsPerSource, p.MaxLifetime = t.MaxConnections, t.MaxConnectionsPerSource, time.Duration(t.MaxLifetime)
	p.Audit, p.LogAddresses = t.Audit, t.LogAddresses
	for _, s := range t.SharedSecrets {
		p.Secrets = append(p.Secrets, []byte(s))
	}
	var err error
	if p.AllowPeers, err = parsePrefixes("allow_peers", t.AllowPeers); err != nil {
		return p, err
	}
	if p.DenyPeers, err = parsePrefixes("deny_peers", t.DenyPeers); err != nil {
		return p, err
	}
	own, err := ownAddresses(t)
	p.DenyPeers = append(p.DenyPeers, own...)
	return p, err
}

// ownAddresses returns OwnAddresses as prefixes, without the relay's own: two
// viewers that both need the relay meet there, and the server lets nothing else
// of it be reached.
func ownAddresses(t *Config) ([]netip.Prefix, error) {
	var out []netip.Prefix
	for _, s := range t.OwnAddresses {
		addr, err := netip.ParseAddr(s)
		if err != nil {
			return nil, fmt.Errorf("turn own_addresses %q: give IP addresses of this server", s)
		}
		addr = addr.Unmap()
		relay := false
		for _, r := range []string{t.RelayAddress, t.RelayAddress6} {
			ra, err := netip.ParseAddr(r)
			relay = relay || err == nil && ra.Unmap() == addr
		}
		if !relay {
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
		}
	}
	return out, nil
}

// settingsOf returns what a config has allocations made with; t may be nil.
func settingsOf(t *Config) (s turnserver.Settings, err error) {
	if t == nil {
		return s, nil
	}
	s.Realm = t.Realm
	for _, of := range []struct {
		option, value string
		to            *netip.Addr
	}{
		{"relay_address", t.RelayAddress, &s.RelayAddress}, {"relay_address6", t.RelayAddress6, &s.RelayAddress6},
		{"relay_bind", t.RelayBind, &s.RelayBind}, {"relay_bind6", t.RelayBind6, &s.RelayBind6},
	} {
		if of.value == "" {
			continue
		}
		if *of.to, err = netip.ParseAddr(of.value); err != nil {
			return s, fmt.Errorf("turn %s must be an IP address: %w", of.option, err)
		}
	}
	s.RelayPorts, err = parsePorts(t.RelayPorts)
	return s, err
}
