package caddymodule

import (
	"fmt"
	"strings"

	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/edge/admission"
	"github.com/viewmesh/viewmesh/edge/locator"
)

// Rule says how the viewers take part that it is about: those who have one of the values of
// each field that has any.
type Rule struct {
	// Then is "on"; "receive_only", who give nothing; or "off". Required.
	Then string `json:"then"`

	// Device is desktop, mobile, tv or server, as the viewer says.
	Device []string `json:"device,omitempty"`

	// Connection is ethernet, wifi or cellular, as the viewer says.
	Connection []string `json:"connection,omitempty"`

	// Country is a code such as DE. It needs locators.
	Country []string `json:"country,omitempty"`

	// ASN is the number of a network, such as AS174. It needs locators.
	ASN []string `json:"asn,omitempty"`

	// Site is the name of a site.
	Site []string `json:"site,omitempty"`

	// Content is the path of a manifest; * at its beginning or end is anything.
	Content []string `json:"content,omitempty"`
}

// unmarshal reads the option, on one line for a single field:
//
//	rule on|receive_only|off {
//		device     KIND...
//		connection KIND...
//		country    CODE...
//		asn        NUMBER...
//		site       NAME...
//		content    PATH...
//	}
func (r *Rule) unmarshal(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) == 0 {
		return d.Err("rule needs what is to be: on, receive_only or off")
	}
	r.Then = args[0]
	fields := map[string]*[]string{
		"device": &r.Device, "connection": &r.Connection, "country": &r.Country, "asn": &r.ASN, "site": &r.Site, "content": &r.Content,
	}
	if len(args) > 1 {
		to, ok := fields[args[1]]
		if !ok || len(args) == 2 {
			return d.Errf("rule %s %s: write device, connection, country, asn, site or content, and values", r.Then, args[1])
		}
		*to = args[2:]
	}
	options := map[string]option.Func{}
	for name, to := range fields {
		options[name] = option.List(to)
	}
	if err := option.Parse(d, "rule", options); err != nil {
		return err
	}
	_, err := r.policy()
	return option.Wrap(d, err)
}

// policy returns the rule as a policy has it.
func (r *Rule) policy() (admission.Rule, error) {
	out := admission.Rule{Then: r.Then, Device: r.Device, Connection: r.Connection, Site: r.Site, Content: r.Content}
	for _, c := range r.Country {
		out.Country = append(out.Country, strings.ToUpper(c))
	}
	for _, s := range r.ASN {
		n := locator.ParseASN(s)
		if n == 0 {
			return out, fmt.Errorf("rule %s: asn %q: write a number such as AS174", r.Then, s)
		}
		out.ASN = append(out.ASN, n)
	}
	return out, nil
}

// steer sets what of a policy says who takes part.
func steer(h *Handler, p *admission.Policy) (err error) {
	if p.Sites, err = sitesOf(h); err != nil {
		return err
	}
	for i := range h.Rules {
		rule, err := h.Rules[i].policy()
		if err != nil {
			return err
		}
		p.Rules = append(p.Rules, rule)
	}
	if h.Ramp != "" {
		share, err := admission.ParseShare(h.Ramp)
		if err != nil {
			return fmt.Errorf("ramp: %w", err)
		}
		p.Control = 1 - share
	}
	p.SiteIDs, p.Monitor, p.MinViewers = siteIDsOf(h), h.Monitor, h.MinViewers
	p.SameASNOnly, p.SameCountryOnly = h.SameASNOnly, h.SameCountryOnly
	return nil
}

// located reports whether the options need to know where viewers are.
func located(h *Handler) bool {
	for _, r := range h.Rules {
		if len(r.Country)+len(r.ASN) > 0 {
			return true
		}
	}
	return h.SameASNOnly || h.SameCountryOnly
}
