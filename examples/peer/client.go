package main

import (
	"log/slog"
	"net/http"

	"github.com/viewmesh/viewmesh/examples/peer/viewer"
	"github.com/viewmesh/viewmesh/examples/peer/web"
	mesh "github.com/viewmesh/viewmesh/meshcore/signal"
)

// client returns the HTTP client that viewers share.
func (o *options) client() (*http.Client, error) {
	return web.New(web.Options{CA: o.ca, Token: o.token, For: o.url})
}

// viewerConfig is what the flags say of a viewer.
func (o *options) viewerConfig(c *http.Client, log *slog.Logger) viewer.Config {
	return viewer.Config{
		HTTP: c, Log: log, NoMesh: o.noMesh, NoUpload: o.noUpload, RelayOnly: o.relayOnly, Token: o.token,
		Device: mesh.Device{Kind: "desktop", Connection: "ethernet"},
	}
}
