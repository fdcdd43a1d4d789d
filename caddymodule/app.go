package caddymodule

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
	"go.uber.org/zap"

	"github.com/viewmesh/viewmesh/caddymodule/locators"
	"github.com/viewmesh/viewmesh/caddymodule/option"
	"github.com/viewmesh/viewmesh/caddymodule/turn"
	"github.com/viewmesh/viewmesh/edge"
	"github.com/viewmesh/viewmesh/edge/locator"
	"github.com/viewmesh/viewmesh/meshcore/signal"
	"github.com/viewmesh/viewmesh/tokens"
)

func init() { caddy.RegisterModule(&App{}) }

// App is the mesh of a server: its keys, its STUN and TURN server, and the
// sessions and swarms of all its sites. They live on over a reload. It needs no
// configuration: the handler brings the app with it.
type App struct {
	// KeysFile is a JWKS file with private Ed25519 keys, which sign passes and
	// segment tokens; the newest signs, all verify. Default: keys that are made and
	// kept in Caddy's storage, and rotated every 30 days.
	KeysFile string `json:"keys_file,omitempty"`

	// STUN is the address that the STUN server listens on, such as
	// "udp/203.0.113.7:3478", or "off". Default: udp/:3478, where nothing else has
	// that port; none if TURN is configured, which answers STUN on its UDP
	// listeners.
	STUN string `json:"stun,omitempty"`

	// TURN is the relay. Default: none.
	TURN *turn.Config `json:"turn,omitempty"`

	// ICEServers are STUN and TURN servers of other providers, which viewers are told
	// of behind this one's. Default: none.
	ICEServers []signal.ICEServer `json:"ice_servers,omitempty"`

	locators.Config
	locate locator.Chain

	ctx    caddy.Context
	meshes []mesh  // that this config has
	places []place // where they stand, once it has started

	rt      *runtime
	pooled  bool
	logger  *zap.Logger
	storage certmagic.Storage
	keys    atomic.Pointer[tokens.Keyring]
	// keysLost is set while keys are none of the storage's. Once the config has
	// started, watchKeys alone uses it.
	keysLost bool
	relay    *turn.Relay
	stop     context.CancelFunc
	stopped  chan struct{}
}

// CaddyModule says what this module is.
func (*App) CaddyModule() caddy.ModuleInfo {
	return caddy.ModuleInfo{ID: "mesh", New: func() caddy.Module { return new(App) }}
}

// Provision finds or makes what outlives the config. It changes nothing in it:
// that is for Start.
func (a *App) Provision(ctx caddy.Context) error {
	if err := option.Expand(a); err != nil {
		return err
	}
	a.ctx = ctx
	a.logger, a.storage = ctx.Logger(), ctx.Storage()
	v, _, err := runtimes.LoadOrNew(runtimeKey, func() (caddy.Destructor, error) {
		secret, err := storedRandom(ctx, a.storage)
		lost := err != nil
		if lost {
			a.logger.Error("Caddy's storage is unavailable: swarm ids are this process's own, which other edges do not know, until the storage is back", zap.Error(err))
			secret = make([]byte, 32)
			if _, err := rand.Read(secret); err != nil {
				return nil, fmt.Errorf("draw a secret: %w", err)
			}
		}
		rt, err := newRuntime(a.logger, secret, dataFile(a.storage, "digests.db"), dataFile(a.storage, "history.db"))
		if err == nil {
			rt.secretLost.Store(lost)
		}
		return rt, err
	})
	if err != nil {
		return err
	}
	a.rt, a.pooled = v.(*runtime), true
	if err := a.provisionKeys(ctx); err != nil {
		return err
	}
	if a.locate, err = a.Config.Provision(ctx); err != nil {
		return err
	}
	mac := hmac.New(sha256.New, *a.rt.secret.Load())
	mac.Write([]byte("turn"))
	a.relay, err = turn.Provision(ctx, turn.Options{
		STUN: a.STUN, TURN: a.TURN, ICEServers: a.ICEServers, Secret: mac.Sum(nil), Logger: a.rt.logger.Named("turn"), Usage: a.rt.relayUsage,
	})
	if err != nil {
		return err
	}
	a.rt.provisioned.Store(a)
	return register(ctx, a.rt.edge)
}

func (a *App) provisionKeys(ctx caddy.Context) error {
	var keys *tokens.Keyring
	var err error
	if a.KeysFile != "" {
		if keys, err = readKeysFile(a.KeysFile); err != nil {
			return err
		}
	} else if keys, err = storedKeyring(ctx, a.storage, time.Now()); err != nil {
		a.logger.Error("Caddy's storage is unavailable: signing with keys of this process alone, which other edges do not know, until the storage is back", zap.Error(err))
		a.keysLost = true
		if current := a.rt.current.Load(); current != nil {
			keys = current.keys.Load()
		} else if keys, err = tokens.NewKeyring(time.Now()); err != nil {
			return err
		}
	}
	a.keys.Store(keys)
	return nil
}

// Start makes this config's policy the current one.
func (a *App) Start() error {
	if err := a.relay.Start(); err != nil {
		return err
	}
	a.places = findPlaces(a.ctx, a.meshes)
	for _, p := range a.places {
		p.warn(a.logger)
	}
	ctx, stop := context.WithCancel(context.Background())
	a.stop, a.stopped = stop, make(chan struct{})
	go a.watchKeys(ctx)
	a.rt.publish(a)
	return nil
}

// Stop takes this config's policy back.
func (a *App) Stop() error {
	a.rt.withdraw(a)
	a.stop()
	<-a.stopped
	return nil
}

// Cleanup gives back what the config used. What nobody else uses ends.
func (a *App) Cleanup() error {
	err := a.relay.Cleanup()
	if a.pooled {
		a.pooled = false
		if _, derr := runtimes.Delete(runtimeKey); derr != nil {
			err = derr
		}
	}
	return err
}

// Relay returns the relay, nil before Provision.
func (a *App) Relay() *turn.Relay { return a.relay }

// policyOf returns the policy of the site of this config that viewers who know the
// edge so find under a Policy.Path, or nil.
func (a *App) policyOf(at edge.KnownAs, path string) *edge.Policy {
	for _, p := range a.places {
		if p.is(at, path) {
			return p.policy
		}
	}
	return nil
}

// watchKeys rotates the stored keys and takes over those that another edge made.
func (a *App) watchKeys(ctx context.Context) {
	defer close(a.stopped)
	for {
		wait := keyCheck
		if a.keysLost || a.rt.secretLost.Load() {
			wait = keyRetry
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
			a.refreshSecret(ctx)
			if a.KeysFile == "" {
				a.refreshKeys(ctx)
			}
		}
	}
}

// refreshSecret takes over the secret of a storage that has come back. The relay's
// credentials follow with the next reload.
func (a *App) refreshSecret(ctx context.Context) {
	if !a.rt.secretLost.Load() {
		return
	}
	secret, err := storedRandom(ctx, a.storage)
	if err != nil {
		return // Provision has said so
	}
	a.rt.secret.Store(&secret)
	a.rt.edge.Rekey(secret)
	a.rt.secretLost.Store(false)
	a.logger.Info("Caddy's storage is back; swarm ids are those of the other edges")
}

func (a *App) refreshKeys(ctx context.Context) {
	keys, err := storedKeyring(ctx, a.storage, time.Now())
	switch {
	case err != nil && a.keysLost:
		return // Provision has said so
	case err != nil:
		a.logger.Warn("could not look for newer signing keys", zap.Error(err))
		return
	case a.keysLost:
		a.keysLost = false
		a.logger.Info("Caddy's storage is back; its signing keys are used")
	}
	if keys.KeyID() != a.keys.Load().KeyID() {
		a.keys.Store(keys)
		a.logger.Info("signing with a newer key", zap.String("key_id", keys.KeyID()))
	}
}

var (
	_ caddy.Module       = (*App)(nil)
	_ caddy.App          = (*App)(nil)
	_ caddy.Provisioner  = (*App)(nil)
	_ caddy.CleanerUpper = (*App)(nil)
	_ turn.App           = (*App)(nil)
)
