package turnserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// core is what the sockets, connections and allocations of a server share.
type core struct {
	cfg   Config
	log   *zap.Logger
	start time.Time
	done  chan struct{}

	settings     atomic.Pointer[Settings]
	policy       atomic.Pointer[Policy]
	counters     counters
	relayed      atomic.Int64 // payload bytes, both directions
	rate         bucket
	answers      *sourceLimit // to requests without credentials
	bindings     *sourceLimit
	pionKey      []byte  // signs what is written for pion
	desks        []*desk // of the connections
	nextDesk     atomic.Uint32
	names        names
	users        users
	relays       relays
	readers      readers
	reservations reservations
	listeners    listeners
	writers      writers
	conns        connLimit
	own          ownAddrs
	complained   atomic.Int64 // when
	timeouts     timeouts

	mu      sync.Mutex
	closed  bool
	closers map[io.Closer]struct{}
	wg      sync.WaitGroup // listeners, intakes, handshakes, allocations, the reporter
}

// enter counts something that Close waits for, which ends with wg.Done. It returns
// false when the server is closed.
func (s *core) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// adopt is enter for something that Close closes, until forget.
func (s *core) adopt(c io.Closer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.wg.Add(1)
	s.closers[c] = struct{}{}
	return nil
}

func (s *core) forget(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.closers, c)
}

// deskFor returns the desk for one more connection.
func (s *core) deskFor() *desk { return s.desks[s.nextDesk.Add(1)%uint32(len(s.desks))] }

// lost is forget for a listening socket, which only Close may end, and who has retired
// it.
func (s *core) lost(sock packetSocket, retired bool) {
	s.forget(sock)
	if retired {
		return
	}
	select {
	case <-s.done:
	default:
		s.log.Error("a TURN socket has failed: it serves nobody any more", s.addressField("udp", sock.LocalAddr()))
	}
}

// now is the time since the server started, in nanoseconds.
func (s *core) now() int64 { return int64(time.Since(s.start)) }

// addressField is where a listener listens, which is configuration and no viewer's
// address.
func (s *core) addressField(name string, addr net.Addr) zap.Field {
	return zap.String("address", name+"/"+addr.String())
}

// errorField is an error for a log line, without the addresses that network errors
// carry unless they are asked for.
func (s *core) errorField(err error) zap.Field {
	var op *net.OpError
	if !s.policy.Load().LogAddresses && errors.As(err, &op) {
		return zap.NamedError("error", fmt.Errorf("%s: %w", op.Op, op.Err))
	}
	return zap.Error(err)
}

// complain warns of something that may come at any rate, at most every ten seconds.
func (s *core) complain(msg string, err error) {
	now, last := s.now(), s.complained.Load()
	if last != 0 && now < last+int64(10*time.Second) || !s.complained.CompareAndSwap(last, now) {
		return
	}
	s.log.Warn(msg, s.errorField(err))
}

// listenPacket opens a socket through the config's hook or the operating system.
func (s *core) listenPacket(network, address string, shared bool) (packetSocket, error) {
	if s.cfg.ListenPacket != nil {
		conn, err := s.cfg.ListenPacket(context.Background(), network, address)
		if err != nil {
			return nil, err
		}
		return &plainSocket{PacketConn: conn}, nil
	}
	return listenSystem(network, address, shared)
}
