package caddymodule

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/turnserver"
)

// turnPolicy is what may change over a reload.
func (a *App) turnPolicy() (turnserver.Policy, error) {
	p := turnserver.Policy{Secrets: [][]byte{a.secret}}
	t := a.TURN
	if t == nil {
		return p, nil
	}
	p.RelayEnabled = true
	p.UserBandwidth, p.UserBytes, p.UserAllocations = t.UserBandwidth, t.UserBytes, t.UserAllocations
	p.TotalBandwidth, p.TotalBytes = t.TotalBandwidth, t.TotalBytes
	p.UnauthRate, p.LogAddresses = t.UnauthRate, t.LogAddresses
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
	own, err := t.ownAddresses()
	p.DenyPeers = append(p.DenyPeers, own...)
	return p, err
}

// ownAddresses gives OwnAddresses as prefixes, without the relay's own: two
// viewers that both need the relay meet there, and the server lets nothing else
// of it be reached.
func (t *TURN) ownAddresses() ([]netip.Prefix, error) {
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

// parsePrefixes reads prefixes and single addresses.
func parsePrefixes(option string, list []string) (out []netip.Prefix, err error) {
	for _, s := range list {
		if a, err := netip.ParseAddr(s); err == nil {
			out = append(out, netip.PrefixFrom(a, a.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, fmt.Errorf("turn %s %q: write an IP address or ADDRESS/BITS", option, s)
		}
		out = append(out, p)
	}
	return out, nil
}

// validate says what is wrong with t.
func (t *TURN) validate() error {
	seen := map[string]bool{}
	for _, l := range t.Listen {
		network, hostport, err := parseListen(l)
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
	if _, err := parsePorts(t.RelayPorts); err != nil {
		return err
	}
	if _, err := parsePrefixes("allow_peers", t.AllowPeers); err != nil {
		return err
	}
	if _, err := parsePrefixes("deny_peers", t.DenyPeers); err != nil {
		return err
	}
	if _, err := t.ownAddresses(); err != nil {
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
		{"total_bandwidth", t.TotalBandwidth}, {"total_bytes", t.TotalBytes},
	} {
		if n.value < 0 {
			return fmt.Errorf("turn %s cannot be negative; leave it out for no bound", n.option)
		}
	}
	if t.UnauthRate < -1 {
		return errors.New("turn unauth_rate cannot be negative; -1 is no bound")
	}
	return nil
}

// validateAddresses looks at the addresses of the relay.
func (t *TURN) validateAddresses() error {
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

// applyTURN gives the server this config's policy.
func (a *App) applyTURN() {
	if a.relay == nil {
		return
	}
	p, err := a.turnPolicy()
	if err == nil {
		err = a.relay.server.SetPolicy(p)
	}
	if err != nil {
		a.logger.Error("TURN keeps the policy it had", zap.Error(err))
	}
}
