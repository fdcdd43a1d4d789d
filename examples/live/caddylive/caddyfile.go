package caddylive

import (
	"strconv"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig/caddyfile"
	"github.com/caddyserver/caddy/v2/caddyconfig/httpcaddyfile"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"
)

func init() {
	httpcaddyfile.RegisterHandlerDirective("demo_live", func(h httpcaddyfile.Helper) (caddyhttp.MiddlewareHandler, error) {
		handler := new(Handler)
		return handler, handler.UnmarshalCaddyfile(h.Dispenser)
	})
	httpcaddyfile.RegisterDirectiveOrder("demo_live", httpcaddyfile.Before, "file_server")
}

// UnmarshalCaddyfile reads the directive:
//
//	demo_live [<matcher>] {
//		media  <folder>
//		window <segments>
//		delay  <duration>
//		part   <duration>
//		part_hold_back <duration>
//		part_ranges
//	}
func (h *Handler) UnmarshalCaddyfile(d *caddyfile.Dispenser) error {
	d.Next() // the directive's name
	if d.NextArg() {
		return d.Errf("demo_live takes no argument, got %q; options go into a block", d.Val())
	}
	seen := map[string]bool{}
	for d.NextBlock(0) {
		option := d.Val()
		if seen[option] {
			return d.Errf("demo_live: %s is set twice", option)
		}
		seen[option] = true
		if option == "part_ranges" {
			if d.NextArg() {
				return d.Errf("demo_live: part_ranges takes no value")
			}
			h.PartRanges = true
			continue
		}
		var value string
		if !d.AllArgs(&value) {
			return d.Errf("demo_live: %s takes one value", option)
		}
		switch option {
		case "media":
			h.Media = value
		case "window":
			n, err := strconv.Atoi(value)
			if err != nil || n < 3 {
				return d.Errf("demo_live: window %q must be a number of segments, at least 3", value)
			}
			h.Window = n
		case "delay", "part", "part_hold_back":
			length, err := caddy.ParseDuration(value)
			if err != nil || length < 0 {
				return d.Errf("demo_live: %s %q must be a duration such as 500ms", option, value)
			}
			*map[string]*caddy.Duration{"delay": &h.Delay, "part": &h.Part, "part_hold_back": &h.PartHoldBack}[option] = caddy.Duration(length)
		default:
			return d.Errf("demo_live: unknown option %q; there are media, window, delay, part, part_hold_back and part_ranges", option)
		}
	}
	return nil
}

var _ caddyfile.Unmarshaler = (*Handler)(nil)
