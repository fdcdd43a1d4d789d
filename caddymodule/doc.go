// Package caddymodule puts the mesh into Caddy. It is an adapter: package edge
// does the work, package turnserver relays.
//
//	app.go         the app "mesh": its configuration, its life over reloads
//	runtime.go     what outlives a reload: the edge, and which config counts for it
//	keyring.go     the signing keys and the secret, in a file or in Caddy's storage
//	handler.go     the handler: its configuration, which becomes a policy of the edge
//	places.go      where handlers stand: the policy of a host now, and who cannot be reached
//	caddyfile.go   the global option and the directive
//	metrics.go     Prometheus collectors
//	logger.go      the log of whichever config runs
//	turn/          the STUN and TURN server of the app, and the listener wrapper
//	viewertokens/  the formats of viewer tokens: urisigning, jwt
//	option/        reads options of a Caddyfile
package caddymodule
