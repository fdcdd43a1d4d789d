//go:build !linux

package turnserver

// readers would read the sockets of a server's allocations. Here each has a goroutine.
type readers struct{}

func (*readers) open(*core) error { return nil }

func (*readers) watches(packetSocket) bool { return false }

func (*readers) watch(packetSocket, func(*batch) bool, func()) {}
