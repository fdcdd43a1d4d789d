package turnserver

import (
	"cmp"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"time"

	"go.uber.org/zap"
)

// usageInterval is how often Config.OnUsage is told of what was relayed.
const usageInterval = 5 * time.Second

// Server serves STUN and TURN on any number of sockets and connections, which share
// its policy, users and counters. It is safe for concurrent use.
type Server struct{ *core }

// New makes a server that listens nowhere yet. Close must be called when it is no
// longer needed.
func New(cfg Config) (*Server, error) {
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	s := &Server{&core{
		cfg:      cfg,
		log:      cfg.Logger,
		start:    time.Now(),
		done:     make(chan struct{}),
		answers:  newSourceLimit(),
		pionKey:  make([]byte, 16),
		users:    users{all: map[string]*user{}},
		bindings: newSourceLimit(),
		conns:    connLimit{bySource: map[netip.Addr]int{}},
		closers:  map[io.Closer]struct{}{},
		writers:  writers{next: make(chan *outbox)},
		timeouts: defaultTimeouts,
	}}
	_, _ = rand.Read(s.pionKey) // it never fails
	s.relays = relays{s: s.core, by: map[netip.AddrPort]*allocation{}}
	s.reservations = reservations{s: s.core, by: map[string]*reservation{}}
	if err := s.SetSettings(cfg.settings()); err != nil {
		return nil, err
	}
	if err := s.SetPolicy(cfg.Policy); err != nil {
		return nil, err
	}
	for range runtime.GOMAXPROCS(0) {
		d, err := newDesk()
		if err != nil {
			s.closeDesks()
			return nil, err
		}
		s.desks = append(s.desks, d)
	}
	if err := s.readers.open(s.core); err != nil {
		s.closeDesks()
		return nil, err
	}
	s.wg.Add(1)
	go s.reportUsage()
	return s, nil
}

// SetSettings replaces the settings. No socket is touched: allocations that were made
// with other settings go on. Where c is not valid the old settings stay.
func (s *Server) SetSettings(c Settings) error {
	c, err := c.withDefaults()
	if err != nil {
		return err
	}
	s.own.set(append([]netip.Addr{c.RelayAddress, c.RelayAddress6, c.RelayBind, c.RelayBind6}, c.OwnAddresses...)...)
	s.names.setRealm(c.Realm)
	s.relays.settle(&c)
	return nil
}

// SetPolicy replaces the policy. No socket is touched and no allocation ends: new
// allocations and permissions obey the new policy at once, existing allocations at
// their next refresh; but permissions and channels of peers that p denies end now.
// Where p is not valid the old policy stays.
func (s *Server) SetPolicy(p Policy) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("TURN policy: %w", err)
	}
	p = p.clone()
	if p.MaxConns == 0 {
		p.MaxConns = cmp.Or(s.cfg.MaxConns, DefaultMaxConns)
	}
	if p.MaxConnsPerSource == 0 {
		p.MaxConnsPerSource = cmp.Or(s.cfg.MaxConnsPerSource, DefaultMaxConnsPerSource)
	}
	s.policy.Store(&p)
	s.relays.each(func(a *allocation) { a.revoke(&p) })
	return nil
}

// Policy returns the policy that holds, with defaults filled in.
func (s *Server) Policy() Policy { return s.policy.Load().clone() }

// ExpectUser has the server know a user name by its USERHASH (RFC 8489, section 14.4)
// while its credentials are good. Names that have been seen in USERNAME are known
// anyway.
func (s *Server) ExpectUser(username string) { s.names.add(username, time.Now()) }

// RelayAvailable reports whether a user with fresh credentials could get an
// allocation: the relay is enabled, has an address, budget left and a free port. A
// session that asks for ICE servers while it is false should be offered STUN only.
func (s *Server) RelayAvailable() bool {
	return s.available(s.settings.Load().RelayAddress)
}

// RelayAvailable6 is RelayAvailable for an allocation at the second, IPv6, relay
// address.
func (s *Server) RelayAvailable6() bool { return s.available(s.settings.Load().RelayAddress6) }

func (s *Server) available(addr netip.Addr) bool {
	p := s.policy.Load()
	spent := p.TotalBytes > 0 && s.relayed.Load() >= p.TotalBytes
	return p.RelayEnabled && addr.IsValid() && !spent && s.relays.free(addr) > 0
}

// Close stops the server: it closes every socket and connection, ends every
// allocation, reports the last usage, and returns when nothing runs any more. Calling
// it again does nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		s.wg.Wait()
		return nil
	}
	s.closed = true
	close(s.done)
	closers := s.closers
	s.closers = map[io.Closer]struct{}{}
	s.mu.Unlock()

	var closing sync.WaitGroup
	for c := range closers {
		// All at once, as a TLS connection says goodbye first and its client may not
		// listen. What goes wrong with that is of no interest any more.
		closing.Go(func() { _ = c.Close() })
	}
	closing.Wait()
	s.wg.Wait()
	s.closeDesks()
	s.writers.close()
	s.reservations.close()
	s.users.report(time.Now(), s.cfg.OnUsage)
	return nil
}

func (s *Server) closeDesks() {
	for _, d := range s.desks {
		d.close()
	}
}

func (s *Server) reportUsage() {
	defer s.wg.Done()
	tick := time.NewTicker(usageInterval)
	defer tick.Stop()
	for {
		select {
		case <-s.done:
			return
		case now := <-tick.C:
			s.users.report(now, s.cfg.OnUsage)
		}
	}
}

// Stats returns the counters as they stand.
func (s *Server) Stats() Stats {
	st := s.counters.stats(func(f func(*flow)) {
		s.relays.each(func(a *allocation) { f(&a.flow) })
	})
	st.Listeners, st.Transports = s.relays.sums()
	st.Relayed = s.relayed.Load()
	return st
}

// User returns what the user of the given name holds and has relayed; ok is false
// where the server knows of none. The name is the part of the credentials behind
// the colon.
func (s *Server) User(name string) (st UserStats, ok bool) { return s.users.stats(name) }

// ListenTCP serves STUN and TURN on a TCP address, "host:port", and returns the
// address that was bound.
func (s *Server) ListenTCP(addr string) (net.Addr, error) { return s.ListenTCPWith(addr, nil) }

// ListenTCPWith is ListenTCP with a function that each connection passes through
// first, such as a reader of the PROXY protocol. It may wait, and may return the
// connection as it is.
func (s *Server) ListenTCPWith(addr string, wrap func(net.Conn) (net.Conn, error)) (net.Addr, error) {
	return s.listeners.add("tcp", addr, func() (*listener, error) { return listenStream(s.core, "tcp", addr, wrap, nil) })
}

// ListenTLS serves STUN and TURN over TLS on a TCP address, "host:port", and returns
// the address that was bound. config is called for every connection, so that renewed
// certificates are used at once; a config with NextProtos should list "stun.turn"
// (RFC 7443).
func (s *Server) ListenTLS(addr string, config func() *tls.Config) (net.Addr, error) {
	return s.ListenTLSWith(addr, nil, config)
}

// ListenTLSWith is to ListenTLS what ListenTCPWith is to ListenTCP.
func (s *Server) ListenTLSWith(addr string, wrap func(net.Conn) (net.Conn, error), config func() *tls.Config) (net.Addr, error) {
	if config == nil {
		return nil, errors.New("cannot listen for TURN over TLS without a TLS config: give one")
	}
	return s.listeners.add("tls", addr, func() (*listener, error) { return listenStream(s.core, "tls", addr, wrap, config) })
}

// ListenUDP serves STUN and TURN on a UDP address, "host:port", with the given number
// of sockets that share the port (SO_REUSEPORT), each served by a goroutine of its
// own; where the system cannot share a port there is one. It returns the address
// that was bound.
//
// Answers from a socket on the unspecified address leave, on Linux, from the address
// that was asked; elsewhere from the one that the system picks.
func (s *Server) ListenUDP(addr string, sockets int) (net.Addr, error) {
	return s.listeners.add("udp", addr, func() (*listener, error) { return listenUDP(s.core, addr, sockets) })
}

// SharePacketConn serves STUN and TURN on a UDP socket that belongs to a QUIC server,
// and returns what that server is to use in its place (RFC 9443). Who closes that ends
// TURN there; to close s leaves the socket to QUIC.
func (s *Server) SharePacketConn(conn net.PacketConn) (net.PacketConn, error) {
	return sharePacketConn(s.core, conn)
}

// Retire stops listening at an address that one of the Listen methods has returned.
// What clients have allocated there lives on: connections stay, and a UDP socket
// closes when its last allocation ends. To listen there again before that takes the
// socket back.
func (s *Server) Retire(bound net.Addr) {
	s.listeners.retire(bound, func(in *intake) bool { return in.count() == 0 })
}

// Allocations returns the live allocations.
func (s *Server) Allocations() []AllocationInfo {
	out := []AllocationInfo{}
	s.relays.each(func(a *allocation) { out = append(out, a.info()) })
	return out
}

// EndAllocation ends the allocation with the relayed transport address addr, and
// reports whether there was one.
func (s *Server) EndAllocation(addr netip.AddrPort) bool {
	a := s.relays.get(addr)
	if a == nil {
		return false
	}
	a.end()
	return true
}

// ServeConn serves STUN and TURN on a connection that was accepted elsewhere, such as
// one that shares port 443 with HTTPS. It takes the connection over, returns at once,
// and closes it when the client is gone, idle or in error, when a limit is exceeded,
// or when the server is closed. The connection's remote address must be a TCP
// address. A connection with a ConnectionState method counts as TLS.
func (s *Server) ServeConn(conn net.Conn) {
	serveConn(s.core, conn, sharedListener(conn.LocalAddr()), nil)
}
