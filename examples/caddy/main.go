// Command caddy is Caddy with the Viewmesh module built in: what
// xcaddy build --with github.com/viewmesh/viewmesh would make, and the live
// origin of the demo.
package main

import (
	caddycmd "github.com/caddyserver/caddy/v2/cmd"

	_ "github.com/caddyserver/caddy/v2/modules/standard"

	_ "github.com/viewmesh/viewmesh"
	_ "github.com/viewmesh/viewmesh/examples/live/caddylive" // the live origin of the demo
)

func main() {
	caddycmd.Main()
}
