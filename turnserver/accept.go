package turnserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// wrapper reads what comes before STUN on a connection that was just accepted, such as
// a PROXY header. It may wait.
type wrapper func(net.Conn) (net.Conn, error)

// listenStream serves connections to a TCP address, over TLS where config is not nil.
func listenStream(s *core, name, addr string, wrap wrapper, config func() *tls.Config) (*listener, error) {
	err := s.listeners.vacant("tcp", name, addr)
	var ln net.Listener
	if err == nil {
		ln, err = (&net.ListenConfig{Control: reusePort}).Listen(context.Background(), "tcp", addr)
	}
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
		accept(s, ln, name, wrap, config)
	}()
	s.log.Info("TURN listens", s.addressField(name, ln.Addr()))
	return &listener{bound: ln.Addr(), stream: ln}, nil
}

// accept takes connections from ln until it is closed.
func accept(s *core, ln net.Listener, name string, wrap wrapper, config func() *tls.Config) {
	name += "/" + ln.Addr().String()
	var opening Slots
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
		conn = overTCP(conn)
		if config == nil && wrap == nil {
			serveConn(s, conn, name, nil)
			continue
		}
		slot := opening.Take(addrPortOf(conn.RemoteAddr()).Addr(), func() { _ = conn.Close() })
		if slot == nil {
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
			served, cork, err := begin(s, conn, slot, wrap, config)
			s.forget(conn)
			slot.Give()
			if err != nil {
				s.counters.drop(DropHandshake)
				_ = conn.Close()
				return
			}
			serveConn(s, served, name, cork)
		}()
	}
}

var errTooMany = errors.New("the source has too many connections that have yet to begin")

// begin does with a connection what comes before STUN.
func begin(s *core, conn net.Conn, slot *Slot, wrap wrapper, config func() *tls.Config) (net.Conn, *corkConn, error) {
	deadline := time.Now().Add(s.timeouts.handshake)
	if wrap != nil {
		wrapped, err := wrap(conn)
		if err != nil {
			return nil, nil, err
		}
		if wrapped != conn {
			_ = conn.SetReadDeadline(deadline)
			source := addrPortOf(wrapped.RemoteAddr()) // reads the header
			_ = conn.SetReadDeadline(time.Time{})
			if source.IsValid() && !slot.Move(source.Addr()) {
				return nil, nil, errTooMany
			}
		}
		conn = wrapped
	}
	if config == nil {
		return conn, nil, nil
	}
	cork := &corkConn{Conn: conn}
	tc := tls.Server(cork, config())
	_ = tc.SetDeadline(deadline)
	err := tc.Handshake()
	_ = tc.SetDeadline(time.Time{})
	return tc, cork, err
}
