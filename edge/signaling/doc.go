// Package signaling drives the swarms of an edge: it owns the signaling
// WebSockets of peers and the tracker engine of each swarm.
//
//	hub.go        Hub: all swarms and connections of an edge, and their end
//	upgrade.go    from a request to a WebSocket
//	session.go    a connection's way: hello, messages, renewals
//	swarm.go      one tracker engine, its lock, its timer, its members
//	conn.go       one WebSocket: messages in, pings; its link has the queue of frames out
//	shares.go     how many connections a network and an account may have
//	candidates.go which addresses one peer may name to another
//	addresses.go  what is forwarded where viewers must not learn addresses
//
// Nothing here waits for one peer while it serves others: frames to a peer are
// queued, the queue is bounded, and a peer that does not read loses its
// connection.
package signaling
