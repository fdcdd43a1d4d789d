package caddymodule

import (
	"fmt"
	"net/http"
	"os"
	"slices"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/edge/admission"
)

// Site is a set of networks that count as one place, and that bytes do not leave.
type Site struct {
	// Name tells the site from others. Required.
	Name string `json:"name"`

	// Networks are prefixes or single addresses by which the edge sees the site's
	// viewers; of IPv6 a /64 or wider. Of two that contain an address the narrower counts.
	// Required, unless site_ids are set.
	Networks []string `json:"networks,omitempty"`

	// Mode says how the site's viewers take part: "on", "receive_only", who give nothing, or
	// "off". Default: on.
	Mode string `json:"mode,omitempty"`

	// WAN lets the site's viewers exchange with others, and over the relay. Default: false.
	WAN bool `json:"wan,omitempty"`
}

// unmarshal reads the option:
//
//	site NAME [NETWORK...] {
//		mode on|receive_only|off
//		wan  [on|off]
//	}
func (s *Site) unmarshal(d *caddyfile.Dispenser) error {
	args := d.RemainingArgs()
	if len(args) < 1 {
		return d.ArgErr()
	}
	for _, n := range args[1:] {
		if _, err := admission.ParseNetwork(n); err != nil && !option.IsLater(n) {
			return option.Wrap(d, err)
		}
	}
	s.Name, s.Networks = args[0], args[1:]
	return option.Parse(d, "site", map[string]option.Func{
		"mode": option.OneOf(&s.Mode, admission.SiteOn, admission.SiteReceiveOnly, admission.SiteOff),
		"wan":  option.Flag(&s.WAN),
	})
}

// sitesOf returns those of a policy: of the options and of the file.
func sitesOf(h *Handler) (admission.Sites, error) {
	var out admission.Sites
	for _, s := range h.Sites {
		site := admission.Site{Name: s.Name, Mode: s.Mode, WAN: s.WAN}
		for _, n := range s.Networks {
			network, err := admission.ParseNetwork(n)
			if err != nil {
				return nil, fmt.Errorf("site %s: %w", s.Name, err)
			}
			site.Networks = append(site.Networks, network)
		}
		out = append(out, site)
	}
	if h.SitesFile == "" {
		return out, nil
	}
	f, err := os.Open(h.SitesFile)
	if err != nil {
		return nil, fmt.Errorf("sites_file: %w", err)
	}
	defer f.Close()
	more, err := admission.ReadSites(f)
	if err != nil {
		return nil, fmt.Errorf("sites_file %s: %w", h.SitesFile, err)
	}
	return append(out, more...), nil
}

// siteIDsOf returns where the policy finds the names of viewers' sites.
func siteIDsOf(h *Handler) admission.SiteIDs {
	ids := admission.SiteIDs{Claim: slices.Contains(h.SiteIDs, "claim"), Page: slices.Contains(h.SiteIDs, "page")}
	placeholders := slices.DeleteFunc(slices.Clone(h.SiteIDs), func(s string) bool { return s == "claim" || s == "page" })
	if len(placeholders) > 0 {
		ids.Request = func(r *http.Request) string { return named(r, placeholders) }
	}
	return ids
}

// named returns the first of some placeholders that a request has a value for, if it comes
// from a trusted proxy.
func named(r *http.Request, placeholders []string) string {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !trusted || !ok {
		return ""
	}
	for _, p := range placeholders {
		if name := repl.ReplaceAll(p, ""); name != "" {
			return name
		}
	}
	return ""
}
