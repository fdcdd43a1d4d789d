package locators

import (
	"errors"
	"net/http"
	"net/netip"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/edge/locator"
)

func init() { caddy.RegisterModule(&Placeholders{}) }

// Placeholders take where a viewer is from what a CDN in front says in headers. They count
// for requests that come from the server's trusted_proxies alone: anybody else could say
// anything.
type Placeholders struct {
	// ASN is the number of the network, such as "{http.request.header.X-Viewer-ASN}"; "174"
	// and "AS174" are the same.
	ASN string `json:"asn,omitempty"`

	// Country is the code of the country, such as "{http.request.header.CF-IPCountry}".
	Country string `json:"country,omitempty"`

	// Region is the code or the name of a part of the country.
	Region string `json:"region,omitempty"`
}

// CaddyModule says what this module is.
func (*Placeholders) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mesh.locators.placeholders", New: func() caddy.Module { return new(Placeholders) }}
}

// Provision checks that there is anything to find.
func (p *Placeholders) Provision(caddy.Context) error {
	if p.ASN == "" && p.Country == "" {
		return errors.New("locator placeholders needs asn or country, such as: country {http.request.header.CF-IPCountry}")
	}
	return nil
}

// Locate returns what the request says.
func (p *Placeholders) Locate(r *http.Request, _ netip.Addr) locator.Place {
	trusted, _ := caddyhttp.GetVar(r.Context(), caddyhttp.TrustedProxyVarKey).(bool)
	repl, ok := r.Context().Value(caddy.ReplacerCtxKey).(*caddy.Replacer)
	if !trusted || !ok {
		return locator.Place{}
	}
	country := locator.ParseCountry(repl.ReplaceAll(p.Country, ""))
	return locator.Place{
		ASN: locator.ParseASN(repl.ReplaceAll(p.ASN, "")), Country: country, Region: locator.ParseRegion(country, repl.ReplaceAll(p.Region, "")),
	}
}

// UnmarshalCaddyfile reads the source:
//
//	placeholders {
//		asn     PLACEHOLDER
//		country PLACEHOLDER
//		region  PLACEHOLDER
//	}
func (p *Placeholders) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next()
	if d.NextArg() {
		return d.ArgErr()
	}
	return option.Parse(d, "locator placeholders", map[string]option.Func{
		"asn": option.String(&p.ASN), "country": option.String(&p.Country), "region": option.String(&p.Region),
	})
}

var (
	_ caddy.Provisioner     = (*Placeholders)(nil)
	_ caddyfile.Unmarshaler = (*Placeholders)(nil)
	_ locator.Locator       = (*Placeholders)(nil)
)
