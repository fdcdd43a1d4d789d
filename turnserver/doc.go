// Package turnserver is a STUN and TURN server (RFC 8489, RFC 8656) that is safe
// to leave open to the internet: it relays between viewers and nothing else.
//
// The work is split in two.
//
//   - The control plane (request.go, grant.go) reads and answers requests. pion/turn v2
//     hands out nonces, knows them again and admits allocations; it only ever sees
//     requests that this package writes for it.
//   - The data plane is this package: it holds permissions and channels, relays
//     ChannelData and Send indications (relay.go, upqueue.go), which never reach pion,
//     meters every datagram, holds quotas, and uses the batched socket calls of Linux
//     (socket_linux.go). One goroutine for each core reads the sockets of all
//     allocations; at medium rates datagrams wait a moment for company (reader_linux.go).
//
// Every way in (a UDP socket, a TCP or TLS connection) is an intake (intake.go)
// with a pion server of its own, so that a flood on one does not hold up another
// and so that the allocations of a connection end when the connection does.
//
// What is refused: TCP relays (RFC 6062), DONT-FRAGMENT, and every peer address that
// policy.go does not find to be a public host.
package turnserver
