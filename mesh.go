// Package viewmesh is the Caddy module Viewmesh: peer-assisted video delivery
// that lives inside the web server. This file is all there is to it; it plugs
// package caddymodule in, so that
//
//	xcaddy build --with github.com/viewmesh/viewmesh
//
// makes a Caddy with the directive mesh.
package viewmesh

import _ "github.com/viewmesh/viewmesh/caddymodule" // registers the modules
