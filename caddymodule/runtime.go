package caddymodule

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"go.uber.org/zap"
	"golang.org/x/sync/singleflight"

	"github.com/viewmesh/viewmesh/caddymodule/turn"
	"github.com/viewmesh/viewmesh/meshcore/integrity"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

const (
	// drainSpread is the time over which peers are told to open another session
	// when the mesh leaves the config.
	drainSpread = 10 * time.Second
	// drainWait is how long the last messages may take.
	drainWait = 2 * time.Second
	// idleSwarm is how long a swarm without peers keeps its numbers.
	idleSwarm = time.Hour
	// maxSwarms is the number of swarms from which idle ones are let go.
	maxSwarms = 64
)

// runtimes holds the one runtime while any config uses it, so that a reload
// finds sessions and swarms as they were.
var runtimes = caddy.NewUsagePool()

// runtimeKey is the key in runtimes. It is constant: nothing that a config can
// change makes another runtime.
const runtimeKey = "mesh"

// runtime is what outlives a reload.
type runtime struct {
	log        *currentLog
	logger     *zap.Logger // over log
	now        func() time.Time
	started    time.Time
	catalog    *catalog
	statements *statements
	digesting  singleflight.Group
	sessions   sourceLimiter
	bans       bans
	sites      sites
	egress     atomic.Int64 // bytes of segment bodies sent
	late       atomic.Int64 // bytes that lateDigesters keep
	verdicts   verdicts
	entitled   entitlements
	relayUsage *turn.Usage

	mu        sync.Mutex
	policies  []*App // of the configs that run, the current one last
	current   atomic.Pointer[App]
	swarms    map[string]*swarm
	retired   signal.Report // of swarms that were let go
	conns     map[*conn]struct{}
	connCount atomic.Int64
	work      sync.WaitGroup // goroutines of connections
	draining  bool
}

func newRuntime(logger *zap.Logger, secret []byte) *runtime {
	log := newCurrentLog(logger)
	rt := &runtime{
		log: log, logger: zap.New(log).Named("mesh"), now: time.Now, started: time.Now(),
		catalog: newCatalog(secret), statements: newStatements(),
		swarms: map[string]*swarm{}, conns: map[*conn]struct{}{},
	}
	rt.relayUsage = turn.NewUsage(rt.relayed)
	return rt
}

// relayed counts what the relay has carried for a swarm.
func (rt *runtime) relayed(id string, up, down int64, first bool) {
	rt.mu.Lock()
	s := rt.swarms[id]
	rt.mu.Unlock()
	if s == nil { // the viewer never came to signal
		return
	}
	s.relayUp.Add(up)
	s.relayDown.Add(down)
	if first {
		s.relayPeers.Add(1)
	}
}

// since is the engines' time.
func (rt *runtime) since() time.Duration { return rt.now().Sub(rt.started) }

// publish makes the policy of a config that has started the current one.
func (rt *runtime) publish(a *App) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	rt.policies = append(rt.policies, a)
	rt.setCurrent()
}

// withdraw takes the policy of a config back: of an old one after a reload, or
// of a new one that did not start; then the one before is current again.
func (rt *runtime) withdraw(a *App) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	for i, p := range rt.policies {
		if p == a {
			rt.policies = append(rt.policies[:i:i], rt.policies[i+1:]...)
			break
		}
	}
	rt.setCurrent()
}

func (rt *runtime) setCurrent() {
	var a *App
	if n := len(rt.policies); n > 0 {
		a = rt.policies[n-1]
	}
	if rt.current.Swap(a) != a && a != nil {
		rt.log.logger.Store(a.logger)
		a.applied()
	}
}

// policy gives the current app, or fallback while no config has started.
func (rt *runtime) policy(fallback *App) *App {
	if a := rt.current.Load(); a != nil {
		return a
	}
	return fallback
}

// keyring gives the keys that sign now.
func (rt *runtime) keyring(fallback *App) *tokens.Keyring {
	return rt.policy(fallback).keys.Load()
}

// digestOnce digests size bytes of src. Of several callers with one key and
// version, one does the work.
func (rt *runtime) digestOnce(k segmentKey, version string, size int64, src io.Reader) (hashes []byte, root [integrity.HashSize]byte, err error) {
	type result struct {
		hashes []byte
		root   [integrity.HashSize]byte
	}
	flight := fmt.Sprintf("%s%s@%d+%d %d %s", k.host, k.path, k.offset, k.length, size, version)
	v, err, _ := rt.digesting.Do(flight, func() (any, error) {
		d, err := integrity.NewDigester(size)
		if err != nil {
			return nil, err
		}
		if _, err := io.Copy(d, src); err != nil {
			return nil, fmt.Errorf("digest %s: %w", k.path, err)
		}
		h, r, err := d.Sum()
		return result{h, r}, err
	})
	if err != nil {
		return nil, root, err
	}
	res := v.(result)
	return res.hashes, res.root, nil
}

// stopSharing ends the sharing of a presentation, and its swarms, for good.
func (rt *runtime) stopSharing(p *presentation, why string, fields ...zap.Field) {
	if !p.stop(why) {
		return
	}
	rt.logger.Warn("viewers get different bytes at one URL (watermark variants?): this presentation is no longer shared",
		append(fields, zap.String("presentation", p.key()), zap.String("reason", why))...)
	for _, s := range rt.allSwarms() {
		if s.presentation == p {
			s.end(notShared)
		}
	}
}

var errDraining = errors.New("the mesh is being taken out of service")

// swarm gives the swarm with an id, which it makes where there is none.
func (rt *runtime) swarm(id string, p *presentation) (*swarm, error) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.draining {
		return nil, errDraining
	}
	s := rt.swarms[id]
	if s == nil {
		if len(rt.swarms) >= maxSwarms {
			rt.retireIdle()
		}
		s = newSwarm(rt, id, p)
		rt.swarms[id] = s
	}
	s.holds++
	return s, nil
}

// release gives a swarm back that rt.swarm gave.
func (rt *runtime) release(s *swarm) {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	s.holds--
	s.usedAt = rt.since()
}

// retireIdle lets swarms go that have been empty for long. rt.mu is held.
func (rt *runtime) retireIdle() {
	for id, s := range rt.swarms {
		if s.holds == 0 && rt.since()-s.usedAt > idleSwarm {
			sum := s.stats().Totals
			rt.retired.Add(&sum)
			s.close()
			delete(rt.swarms, id)
		}
	}
}

func (rt *runtime) allSwarms() []*swarm {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	out := make([]*swarm, 0, len(rt.swarms))
	for _, s := range rt.swarms {
		out = append(out, s)
	}
	return out
}

// enter registers a connection; its goroutines are then waited for.
func (rt *runtime) enter(c *conn) error {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	if rt.draining {
		return errDraining
	}
	rt.conns[c] = struct{}{}
	rt.connCount.Add(1)
	rt.work.Add(1)
	return nil
}

func (rt *runtime) leave(c *conn) {
	rt.mu.Lock()
	delete(rt.conns, c)
	rt.connCount.Add(-1)
	rt.mu.Unlock()
	rt.work.Done()
}

// isDraining says whether the runtime takes no more sessions.
func (rt *runtime) isDraining() bool {
	rt.mu.Lock()
	defer rt.mu.Unlock()
	return rt.draining
}

// Destruct ends all sessions: no config uses the mesh any more. Each peer is
// told to open another session after a time of its own, so that they do not all
// come at once to whoever serves them next.
func (rt *runtime) Destruct() error {
	rt.mu.Lock()
	rt.draining = true
	conns := make([]*conn, 0, len(rt.conns))
	for c := range rt.conns {
		conns = append(conns, c)
	}
	rt.mu.Unlock()
	for i, c := range conns {
		after := drainSpread * time.Duration(i) / time.Duration(len(conns))
		c.finish(&signal.Message{Type: signal.Reconnect, AfterMS: 1 + after.Milliseconds()})
	}
	done := make(chan struct{})
	go func() {
		rt.work.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-time.After(drainWait):
		for _, c := range conns {
			c.abort()
		}
		<-done
	}
	for _, s := range rt.allSwarms() {
		s.close()
	}
	return nil
}

// addr is the network of a viewer's address: limits and bans count by /64 for
// IPv6, and peers of one prefix count as near by /24 and /48.
func sourceOf(ip netip.Addr) netip.Addr {
	ip = ip.Unmap().WithZone("")
	if ip.Is6() {
		p, _ := ip.Prefix(64)
		return p.Addr()
	}
	return ip
}

var _ caddy.Destructor = (*runtime)(nil)
