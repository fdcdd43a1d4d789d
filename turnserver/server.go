package turnserver

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/logging"
	"go.uber.org/zap"
)

// usageInterval is how often Config.OnUsage is told of what was relayed.
const usageInterval = 5 * time.Second

// Server serves STUN and TURN on any number of sockets and connections, which share
// its policy, users and counters. It is safe for concurrent use.
type Server struct {
	cfg   Config
	log   *zap.Logger
	start time.Time
	done  chan struct{}

	policy       atomic.Pointer[Policy]
	counters     counters
	relayed      atomic.Int64 // payload bytes, both directions
	rate         bucket
	sources      *sourceLimit
	users        users
	relays       relays
	reservations reservations
	conns        connLimit
	own          *ownAddrs
	complained   atomic.Int64 // when
	timeouts     timeouts

	mu      sync.Mutex
	closed  bool
	closers map[io.Closer]struct{}
	wg      sync.WaitGroup // listeners, intakes, handshakes, allocations, the reporter
}

// New makes a server that listens nowhere yet. Close must be called when it is no
// longer needed.
func New(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{
		cfg:     cfg,
		log:     cfg.Logger,
		start:   time.Now(),
		done:    make(chan struct{}),
		sources: newSourceLimit(),
		users:   users{all: map[string]*user{}},
		conns:   connLimit{bySource: map[netip.Addr]int{}, max: cfg.MaxConns, perSource: cfg.MaxConnsPerSource},
		own: newOwnAddrs(append([]netip.Addr{cfg.RelayAddress, cfg.RelayAddress6, cfg.RelayBind, cfg.RelayBind6},
			cfg.OwnAddresses...)...),
		closers:  map[io.Closer]struct{}{},
		timeouts: defaultTimeouts,
	}
	s.relays = relays{s: s, by: map[netip.AddrPort]*allocation{}}
	s.reservations = reservations{s: s, by: map[string]*reservation{}}
	if err := s.SetPolicy(cfg.Policy); err != nil {
		return nil, err
	}
	s.wg.Add(1)
	go s.reportUsage()
	return s, nil
}

// SetPolicy replaces the policy. No socket is touched and no allocation ends: new
// allocations and permissions obey the new policy at once, existing allocations at
// their next refresh. Where p is not valid the old policy stays.
func (s *Server) SetPolicy(p Policy) error {
	if err := p.Validate(); err != nil {
		return fmt.Errorf("TURN policy: %w", err)
	}
	p = p.clone()
	s.policy.Store(&p)
	return nil
}

// Policy returns the policy that holds, with defaults filled in.
func (s *Server) Policy() Policy { return s.policy.Load().clone() }

// RelayAvailable reports whether a user with fresh credentials could get an
// allocation: the relay is enabled, has an address, budget left and a free port. A
// session that asks for ICE servers while it is false should be offered STUN only.
func (s *Server) RelayAvailable() bool {
	p := s.policy.Load()
	if !p.RelayEnabled || !s.cfg.RelayAddress.IsValid() || p.TotalBytes > 0 && s.relayed.Load() >= p.TotalBytes {
		return false
	}
	s.relays.mu.RLock()
	defer s.relays.mu.RUnlock()
	return len(s.relays.by) <= int(s.cfg.RelayPorts.Max)-int(s.cfg.RelayPorts.Min)
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
	s.reservations.close()
	s.users.report(time.Now(), s.cfg.OnUsage)
	return nil
}

// enter counts something that Close waits for, which ends with wg.Done. It returns
// false when the server is closed.
func (s *Server) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.wg.Add(1)
	return true
}

// adopt is enter for something that Close closes, until forget.
func (s *Server) adopt(c io.Closer) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	s.wg.Add(1)
	s.closers[c] = struct{}{}
	return nil
}

func (s *Server) forget(c io.Closer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.closers, c)
}

// lost is forget for a listening socket, which only Close may end.
func (s *Server) lost(sock packetSocket) {
	s.forget(sock)
	select {
	case <-s.done:
	default:
		s.log.Error("a TURN socket has failed: it serves nobody any more", s.addressField("udp", sock.LocalAddr()))
	}
}

// now is the time since the server started, in nanoseconds.
func (s *Server) now() int64 { return int64(time.Since(s.start)) }

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

// addressField is where a listener listens, which is configuration and no viewer's
// address.
func (s *Server) addressField(name string, addr net.Addr) zap.Field {
	return zap.String("address", name+"/"+addr.String())
}

// errorField is an error for a log line, without the addresses that network errors
// carry unless they are asked for.
func (s *Server) errorField(err error) zap.Field {
	var op *net.OpError
	if !s.policy.Load().LogAddresses && errors.As(err, &op) {
		return zap.NamedError("error", fmt.Errorf("%s: %w", op.Op, op.Err))
	}
	return zap.Error(err)
}

// complain warns of something that may come at any rate, at most every ten seconds.
func (s *Server) complain(msg string, err error) {
	now, last := s.now(), s.complained.Load()
	if last != 0 && now < last+int64(10*time.Second) || !s.complained.CompareAndSwap(last, now) {
		return
	}
	s.log.Warn(msg, s.errorField(err))
}

// silent is pion's logger: its lines carry addresses, and what an operator needs to
// know is in Stats.
type silent struct{}

func (silent) NewLogger(string) logging.LeveledLogger { return silent{} }
func (silent) Trace(string)                           {}
func (silent) Tracef(string, ...any)                  {}
func (silent) Debug(string)                           {}
func (silent) Debugf(string, ...any)                  {}
func (silent) Info(string)                            {}
func (silent) Infof(string, ...any)                   {}
func (silent) Warn(string)                            {}
func (silent) Warnf(string, ...any)                   {}
func (silent) Error(string)                           {}
func (silent) Errorf(string, ...any)                  {}
