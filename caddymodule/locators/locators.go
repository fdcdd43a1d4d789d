// Package locators is Caddy's side of where viewers are: the option locator of the global
// option mesh, and its modules.
//
//	locators.go      the option, and the locators of a config
//	maxmind.go       mesh.locators.maxmind: a database file
//	placeholders.go  mesh.locators.placeholders: what a CDN in front says
package locators

import (
	"encoding/json"
	"fmt"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"

	"github.com/viewmesh/viewmesh/edge/locator"
)

// Config is an app that has locators.
type Config struct {
	// LocatorsRaw find where viewers are: modules of the namespace mesh.locators. What one
	// does not know, the next is asked for. Default: none, and peers are near each other by
	// their addresses alone.
	LocatorsRaw []json.RawMessage `json:"locators,omitempty" caddy:"namespace=mesh.locators inline_key=source"`
}

// Provision loads the modules.
func (c *Config) Provision(ctx caddy.Context) (locator.Chain, error) {
	if c.LocatorsRaw == nil {
		return nil, nil
	}
	mods, err := ctx.LoadModule(c, "LocatorsRaw")
	if err != nil {
		return nil, fmt.Errorf("load the locators: %w", err)
	}
	var chain locator.Chain
	for _, mod := range mods.([]any) {
		l, ok := mod.(locator.Locator)
		if !ok {
			return nil, fmt.Errorf("a locator is a %T, which finds no places", mod)
		}
		chain = append(chain, l)
	}
	return chain, nil
}

// UnmarshalLocator reads the option, and adds the module to the config:
//
//	locator SOURCE ...
func (c *Config) UnmarshalLocator(d *caddyfile.Dispenser) error {
	if !d.NextArg() {
		return d.Err("locator needs a source: maxmind or placeholders")
	}
	source := d.Val()
	mod, err := caddyfile.UnmarshalModule(d, "mesh.locators."+source)
	if err != nil {
		return err
	}
	if _, ok := mod.(locator.Locator); !ok {
		return d.Errf("locator %s: the module finds no places", source)
	}
	c.LocatorsRaw = append(c.LocatorsRaw, caddyconfig.JSONModuleObject(mod, "source", source, nil))
	return nil
}
