// Package torrent serves the tracker for clients that exist already, those of WebTorrent and
// p2p-media-loader: it owns their WebSockets and drives the engine of package webtorrent.
//
//	hub.go    Hub: all connections, their bounds and their end
//	place.go  one site's engine and its lock
//	conn.go   one WebSocket: messages in; its link has the queue of frames out
//
// The lock of a site is held while the engine says whom a message goes to. Messages are decoded
// before, and what is passed on is copied and written after it, by a goroutine of each receiver:
// nobody waits for another, and a client that does not read loses its connection.
package torrent
