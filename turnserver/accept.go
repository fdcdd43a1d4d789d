package turnserver

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"time"
)

const (
	maxHandshakes          = 1024 // at once on one TLS listener
	maxHandshakesPerSource = 128
)

// listenStream serves connections to a TCP address, over TLS where config is not nil.
func listenStream(s *core, name, addr string, config func() *tls.Config) (*listener, error) {
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("cannot listen for TURN on %s/%s: %w", name, addr, err)
	}
	if err := s.adopt(ln); err != nil {
		_ = ln.Close()
		return nil, err
	}
	go func() {
		defer s.wg.Done()
		defer s.forget(ln)
		accept(s, ln, config)
	}()
	s.log.Info("TURN listens", s.addressField(name, ln.Addr()))
	return &listener{bound: ln.Addr(), stream: ln}, nil
}

// accept takes connections from ln until it is closed.
func accept(s *core, ln net.Listener, config func() *tls.Config) {
	handshakes := connLimit{bySource: map[netip.Addr]int{}}
	for {
		conn, err := ln.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			// Out of file descriptors, most likely: let some be closed.
			s.complain("cannot accept a TURN connection", err)
			select {
			case <-s.done:
				return
			case <-time.After(50 * time.Millisecond):
			}
			continue
		}
		if config == nil {
			serveConn(s, conn, "tcp/"+ln.Addr().String(), nil)
			continue
		}
		source := addrPortOf(conn.RemoteAddr()).Addr()
		if !handshakes.acquire(source, maxHandshakes, maxHandshakesPerSource) {
			s.counters.drop(DropConnLimit)
			_ = conn.Close()
			continue
		}
		if s.adopt(conn) != nil {
			_ = conn.Close()
			return
		}
		go func() {
			defer s.wg.Done()
			cork := &corkConn{Conn: conn}
			tc := tls.Server(cork, config())
			_ = tc.SetDeadline(time.Now().Add(s.timeouts.handshake))
			err := tc.Handshake()
			_ = tc.SetDeadline(time.Time{})
			s.forget(conn)
			handshakes.release(source)
			if err != nil {
				s.counters.drop(DropHandshake)
				_ = conn.Close()
				return
			}
			serveConn(s, tc, "tls/"+ln.Addr().String(), cork)
		}()
	}
}
