// Package turnserver is a STUN and TURN server (RFC 8489, RFC 8656) that is safe
// to leave open to the internet: it relays between viewers and nothing else.
//
// The work is split in two.
//
//   - The control plane is pion/turn v2: nonces, long-term credentials, the life
//     of allocations, permissions and channels. It only ever sees requests that
//     the packet filter (filter.go) has found well formed.
//   - The data plane is this package: ChannelData and Send indications are relayed
//     here (relay.go, batch.go) and never reach pion. It learns permissions and
//     channels from the requests that pion granted, meters every datagram, holds
//     quotas, and uses the batched socket calls of Linux where they exist.
//
// Every way in (a UDP socket, a TCP or TLS connection) is an intake (intake.go)
// with a pion server of its own, so that a flood on one does not hold up another
// and so that the allocations of a connection end when the connection does.
//
// What is refused: TCP relays (RFC 6062), DONT-FRAGMENT, and every peer address that
// policy.go does not find to be a public host.
package turnserver
