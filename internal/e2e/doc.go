// Package e2e holds the tests that go the whole way: a real Caddy with the
// demo's Caddyfile, the live origin, and reference peers over WebRTC, in one
// process on loopback.
package e2e
