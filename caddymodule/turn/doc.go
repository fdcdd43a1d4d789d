// Package turn is Caddy's side of the STUN and TURN server: its configuration and
// Caddyfile block, the sockets that outlive a reload, what viewers are told of it, its
// metrics, and the listener wrapper that lets it share the port of HTTPS sites. It
// knows users and groups of users; what those are is for the app that holds a Relay.
//
// A Relay belongs to one config:
//
//   - Provision opens the sockets or finds them open, and changes nothing in what
//     another config has running.
//   - Apply makes the config's policy the server's, when the config has started or is
//     current again.
//   - ICEServers returns URLs and credentials for one viewer; Usage reports what the
//     relay then carries for it.
//   - Cleanup gives the sockets back.
package turn
