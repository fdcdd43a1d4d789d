package rtc

import (
	"errors"
	"maps"
	"net"
	"slices"
	"sync"

	"github.com/pion/ice/v2"
	"github.com/pion/logging"
)

const (
	// socketBuffer is asked for in both directions; the system may give less. It
	// keeps bursts of several neighbors from being dropped.
	socketBuffer = 4 << 20
	// maxAddresses is the number of addresses that sockets are bound to.
	maxAddresses = 8
)

// sockets are one UDP socket on each address of this machine, which all connections
// share. An ice.UDPMux is asked for its addresses at each gathering, so that those of
// another network are used from the next ICE restart on.
type sockets struct {
	log logging.LeveledLogger

	mu   sync.Mutex
	open map[string]ice.UDPMux // by address
	all  *ice.MultiUDPMuxDefault
}

var _ ice.UDPMux = (*sockets)(nil)

// bind opens sockets on the addresses that have none, closes those of addresses that are
// gone, and reports whether there were any such.
func (s *sockets) bind() (changed bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gone := maps.Clone(s.open)
	for _, ip := range addresses() {
		if s.open[ip.String()] != nil {
			delete(gone, ip.String())
			continue
		}
		socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: ip})
		if err != nil {
			continue // an address that is going away
		}
		_ = socket.SetReadBuffer(socketBuffer)
		_ = socket.SetWriteBuffer(socketBuffer)
		s.open[ip.String()] = ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: socket, Logger: s.log})
		changed = true
	}
	for ip, mux := range gone {
		delete(s.open, ip)
		err = errors.Join(err, mux.Close())
		changed = true
	}
	if changed {
		s.all = ice.NewMultiUDPMuxDefault(slices.Collect(maps.Values(s.open))...)
	}
	if len(s.open) == 0 {
		err = errors.Join(err, errors.New("listen on UDP: no address of this machine can be used"))
	}
	return changed, err
}

func (s *sockets) now() *ice.MultiUDPMuxDefault {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all
}

func (s *sockets) GetConn(ufrag string, addr net.Addr) (net.PacketConn, error) {
	return s.now().GetConn(ufrag, addr)
}
func (s *sockets) RemoveConnByUfrag(ufrag string) { s.now().RemoveConnByUfrag(ufrag) }
func (s *sockets) GetListenAddresses() []net.Addr { return s.now().GetListenAddresses() }
func (s *sockets) Close() error                   { return s.now().Close() }

// addresses are those of this machine that others may reach it at, and loopback.
func addresses() []net.IP {
	out := []net.IP{net.IPv4(127, 0, 0, 1)}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return out
	}
	for _, a := range all {
		if n, ok := a.(*net.IPNet); ok && n.IP.IsGlobalUnicast() && len(out) < maxAddresses {
			out = append(out, n.IP)
		}
	}
	return out
}
