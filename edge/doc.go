// Package edge puts the mesh into any Go web server, as net/http middleware.
//
// An [Edge] stands before the handler that serves a site's HLS or DASH streams. It
// passes every response on byte for byte, adds header fields of its own to
// manifests and segments, and answers requests below /mesh itself: sessions, the
// signaling WebSocket, statements, and the scripts of the browser peer. Viewers of
// one stream then fetch most segments from each other.
//
//	keys, err := tokens.NewKeyring(time.Now())
//	...
//	e, err := edge.New(edge.Config{
//		Secret: secret,                                   // 32 random bytes that outlive a restart
//		Keys:   func() *tokens.Keyring { return keys },
//	})
//	...
//	defer e.Close()
//	http.ListenAndServe(":8080", e.Wrap(edge.Policy{}, http.FileServer(http.Dir("media"))))
//
// One Edge serves all sites of a server, each with a [Policy] of its own. Without
// ICE servers viewers find each other on one network only: Config.ICEServers names
// STUN and TURN servers, such as those of package turnserver.
//
// # What is where
//
//	edge.go       Edge, Config, New, Close
//	serve.go      Wrap, Serve: which request is whose
//	endpoints.go  the endpoints below Policy.Path
//	recall.go     presentations that the edge has forgotten, learned anew
//	scripts.go    the files of the browser peer
//	stats.go      GET /mesh/stats and the numbers for metrics
//	catalog/      presentations and resources: what the manifests of a site have listed
//	digest/       digests and statements
//	response/     the writers that pass bodies on
//	admission/    policy, viewer tokens, sessions, limits and bans
//	signaling/    WebSocket connections and the drivers of swarms
//	uplink/       what the server can send: whose bytes go out next, and how scarce that is
//	overload.go   what becomes of viewers who come when that is not enough
//	torrent/      the tracker for clients that exist already
package edge
