//go:build !linux

package turnserver

func disableGSO(packetSocket) {}
