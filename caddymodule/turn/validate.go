package turn

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// validate reports what is wrong with t.
func (t *Config) validate() error {
	seen := map[string]bool{}
	for _, l := range t.Listen {
		network, hostport, err := ParseListen(l)
		if err != nil {
			return err
		}
		if network == "tls" {
			network = "tcp"
		}
		if key := network + "/" + hostport; !seen[key] || strings.HasSuffix(key, ":0") {
			seen[key] = true
			continue
		}
		return fmt.Errorf("turn listens on %s twice; leave one out", hostport)
	}
	if err := t.validateAddresses(); err != nil {
		return err
	}
	if _, err := advertisedBy(t.Advertise); err != nil {
		return err
	}
	if p := t.ProxyProtocol; p != nil {
		if _, err := parsePrefixes("proxy_protocol", append(slices.Clone(p.Allow), p.Deny...)); err != nil {
			return err
		}
	}
	if _, err := parsePorts(t.RelayPorts); err != nil {
		return err
	}
	if _, err := parsePrefixes("allow_peers", t.AllowPeers); err != nil {
		return err
	}
	if _, err := parsePrefixes("deny_peers", t.DenyPeers); err != nil {
		return err
	}
	if _, err := ownAddresses(t); err != nil {
		return err
	}
	for _, s := range t.SharedSecrets {
		if s == "" {
			return errors.New("turn shared_secret is empty: give it a value, or set the variable that it stands for")
		}
	}
	for _, n := range []struct {
		option string
		value  int64
	}{
		{"user_bandwidth", t.UserBandwidth}, {"user_bytes", t.UserBytes}, {"user_allocations", int64(t.UserAllocations)},
		{"total_bandwidth", t.TotalBandwidth}, {"total_bytes", t.TotalBytes}, {"max_connections", int64(t.MaxConnections)},
		{"max_connections_per_source", int64(t.MaxConnectionsPerSource)},
	} {
		if n.value < 0 {
			return fmt.Errorf("turn %s cannot be negative; leave it out for no bound", n.option)
		}
	}
	if t.UnauthRate < -1 || t.BindingRate < -1 {
		return errors.New("turn unauth_rate and binding_rate cannot be negative; -1 is no bound")
	}
	if d := time.Duration(t.MaxLifetime); d != 0 && d < 10*time.Minute {
		return fmt.Errorf("turn max_lifetime %s: give 10m or more, which RFC 8656 grants to all", d)
	}
	return nil
}

// validateAddresses checks the addresses of the relay.
func (t *Config) validateAddresses() error {
	addr, err := netip.ParseAddr(t.RelayAddress)
	if err != nil || addr.IsUnspecified() {
		return fmt.Errorf("turn relay_address %q: give the public IP address of this server", t.RelayAddress)
	}
	if t.RelayAddress6 != "" {
		addr6, err := netip.ParseAddr(t.RelayAddress6)
		if err != nil || addr6.IsUnspecified() || !addr6.Is6() || addr6.Is4In6() || !addr.Is4() {
			return fmt.Errorf("turn relay_address %q: a second one is IPv6, beside an IPv4 address", t.RelayAddress6)
		}
	}
	for _, bind := range []string{t.RelayBind, t.RelayBind6} {
		if bind == "" {
			continue
		}
		if _, err := netip.ParseAddr(bind); err != nil {
			return fmt.Errorf("turn relay_bind %q: give a local IP address", bind)
		}
	}
	if t.RelayBind6 != "" && t.RelayAddress6 == "" {
		return fmt.Errorf("turn relay_bind %q: a second one needs a second relay_address", t.RelayBind6)
	}
	return nil
}
