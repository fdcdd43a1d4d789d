// Package viewertokens is Caddy's side of the operator's own viewer tokens: the
// option token of the directive mesh, and the modules of its formats.
//
//	config.go      Config: enforcement and the module of the format
//	urisigning.go  mesh.tokens.urisigning (RFC 9246)
//	jwt.go         mesh.tokens.jwt (RFC 7519)
//	keys.go        whose signatures are trusted, for both
//	caddyfile.go   their options in a Caddyfile
package viewertokens
