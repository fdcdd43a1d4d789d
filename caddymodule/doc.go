// Package caddymodule is the edge: it puts the mesh into Caddy.
//
// # What is where
//
//	app.go          the app "mesh": configuration, life over reloads
//	runtime.go      what outlives a reload: swarms, connections, catalog
//	keyring.go      the signing keys, in a file or in Caddy's storage
//	turn/           the STUN and TURN server of the app, and its listener wrapper
//	logger.go       the log of whichever config runs
//	caddyfile.go    the global option and the directive; option/ reads options
//	handler.go      the handler: which request is whose
//	manifest.go     responses that are playlists: Mesh-Bootstrap
//	catalog.go      what the served playlists listed: presentations, segments
//	segment.go      responses that are segments: Mesh-Segment
//	dash_catalog.go what MPDs list by templates
//	share_ads.go    whether advertisements may be shared
//	shareable.go    which responses may be shared
//	statement.go    digests and tokens of segments, kept and checked
//	late.go         digests of bodies whose header does not say how long they are
//	sendfile.go     a file's bytes on their way past us
//	session.go      POST /mesh/session
//	signal.go       GET /mesh/signal, the WebSocket
//	conn.go         one WebSocket connection
//	relayonly.go    what is forwarded where viewers must not learn addresses
//	swarm.go        one tracker engine, its lock, its timer, its connections
//	swarmid.go      swarm ids
//	limits.go       sessions by source address; viewerid.go says who is banned
//	origins.go      which pages may use the endpoints
//	problem.go      answers that refuse
//	stats.go        GET /mesh/stats
//	browser.go      the files of the browser peer
//	metrics.go      Prometheus collectors
//	viewertoken.go  which viewers are entitled; _session, _writer, _metrics
//	tokens_*.go     the formats of viewer tokens: urisigning, jwt
//
// # Which response gets which header
//
// A response is a manifest if its path ends in .m3u8, .m3u or .mpd, or its
// Content-Type says HLS or DASH. It gets Mesh-Bootstrap (RFC 9651 dictionary), the same
// for every viewer: v, session and swarm, and in token the names of viewer tokens in
// URLs, with spaces between, where there are any. Its body is not touched. A copy of
// the body is read on the side to learn which URIs are segments.
//
// The presentation of a manifest is the host and the directory of its
// multivariant playlist. When a multivariant playlist passes, its renditions are
// remembered as belonging to it. A media playlist whose multivariant playlist has
// not passed is a presentation of its own, under its own directory, until it
// does.
//
// A response to GET is a segment if a manifest listed its path. It gets
// Mesh-Segment, a signed token, and Mesh-Digests (RFC 9651 byte sequence, 32
// bytes a chunk) if it may be shared and its digest is known: of a file before
// the header goes out; of a body from elsewhere once it has passed through
// whole. GET /mesh/segment?path=PATH answers what the headers would have said. One
// that may not be shared has the Mesh-Digests ?0 instead: there is nothing to ask for.
package caddymodule
