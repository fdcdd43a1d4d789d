// Package caddylive puts the live origin of examples/live into Caddy, so that the demo is one command. It is no part
// of Viewmesh proper: a site has its own packager.
package caddylive

import (
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/modules/caddyhttp"

	"github.com/viewmesh/viewmesh/examples/live"
)

func init() {
	caddy.RegisterModule(Handler{})
}

// Handler answers every request it gets as a live HLS and DASH origin that repeats a short presentation without end
// and without a seam. It is a responder, like file_server: mount it under a prefix with handle_path.
type Handler struct {
	// Media is the folder of the presentation: on-demand HLS in fMP4 with index.m3u8 in it. Default: the sample
	// stream that is part of the binary.
	Media string `json:"media,omitempty"`

	// Window is the number of segments in a media playlist, at least 3. Default: 12.
	Window int `json:"window,omitempty"`

	// Delay is the time from the end of a segment to its appearance. Default: 0.
	Delay caddy.Duration `json:"delay,omitempty"`

	// Part makes the stream a low-latency one (LL-HLS), in parts of about this length, at least 100ms. Default: no
	// parts.
	Part caddy.Duration `json:"part,omitempty"`

	// PartHoldBack is how far from the end of the stream players keep, at least three parts, which is the default.
	PartHoldBack caddy.Duration `json:"part_hold_back,omitempty"`

	// PartRanges makes parts byte ranges of their segment. Default: each has a name of its own.
	PartRanges bool `json:"part_ranges,omitempty"`

	origin *live.Origin
}

// CaddyModule returns the Caddy module information.
func (Handler) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{
		ID:  "http.handlers.mesh_demo_live",
		New: func() caddy.Module { return new(Handler) },
	}
}

// Provision reads the presentation.
func (h *Handler) Provision(caddy.Context) error {
	config := live.Config{Window: h.Window, Delay: time.Duration(h.Delay),
		Part: time.Duration(h.Part), PartHoldBack: time.Duration(h.PartHoldBack), PartRanges: h.PartRanges}
	if h.Media != "" {
		config.Media = os.DirFS(h.Media)
	}
	origin, err := live.New(config)
	if err != nil {
		return fmt.Errorf("demo_live: %w", err)
	}
	h.origin = origin
	return nil
}

// ServeHTTP answers the request; it never calls the next handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request, _ caddyhttp.Handler) error {
	h.origin.ServeHTTP(w, r)
	return nil
}

// Interface guards.
var (
	_ caddy.Module                = (*Handler)(nil)
	_ caddy.Provisioner           = (*Handler)(nil)
	_ caddyhttp.MiddlewareHandler = (*Handler)(nil)
)
