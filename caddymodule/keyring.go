package caddymodule

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/viewmesh/viewmesh/tokens"
)

const (
	// keyLife is the age at which a new signing key is made.
	keyLife = 30 * 24 * time.Hour
	// keysKept is how many keys stay good; a pass or token never lives that long.
	keysKept = 3
	// keyCheck is how often the storage is looked at, for a key of age or for one
	// that another edge with the same storage has made.
	keyCheck = time.Hour
	// keyRetry is how often it is looked at while it is unavailable.
	keyRetry = 5 * time.Second

	storedKeys   = "mesh/keyring.json"
	storedSecret = "mesh/secret"
	storageLock  = "mesh_keyring"
	storageWait  = 15 * time.Second
)

// readKeysFile reads a JWKS with private Ed25519 keys, as keys_file names it.
func readKeysFile(path string) (*tokens.Keyring, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read keys_file: %w", err)
	}
	k, err := tokens.ParseKeyring(b)
	if err != nil {
		return nil, fmt.Errorf("keys_file %s must be a JWKS of Ed25519 keys with their private parts: %w", path, err)
	}
	return k, nil
}

// storedKeyring gives the keyring of Caddy's storage: it makes one where there
// is none and rotates one of age.
func storedKeyring(ctx context.Context, storage certmagic.Storage, now time.Time) (*tokens.Keyring, error) {
	var keys *tokens.Keyring
	err := locked(ctx, storage, func(ctx context.Context) error {
		b, err := storage.Load(ctx, storedKeys)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if keys, err = tokens.NewKeyring(now); err != nil {
				return err
			}
		case err != nil:
			return err
		default:
			if keys, err = tokens.ParseKeyring(b); err != nil {
				return fmt.Errorf("%s in Caddy's storage is damaged, delete it to have new keys made: %w", storedKeys, err)
			}
			if now.Sub(keys.Created()) < keyLife {
				return nil
			}
			if keys, err = keys.Rotate(now, keysKept); err != nil {
				return err
			}
		}
		if b, err = keys.MarshalPrivate(); err != nil {
			return err
		}
		return storage.Store(ctx, storedKeys, b)
	})
	if err != nil {
		return nil, fmt.Errorf("keep the signing keys in Caddy's storage: %w", err)
	}
	return keys, nil
}

// storedRandom gives the secret of Caddy's storage, 32 random bytes, from which
// swarm ids and TURN credentials are made. Edges that share a storage share it.
func storedRandom(ctx context.Context, storage certmagic.Storage) ([]byte, error) {
	var secret []byte
	err := locked(ctx, storage, func(ctx context.Context) error {
		var err error
		secret, err = storage.Load(ctx, storedSecret)
		if err == nil && len(secret) == 32 {
			return nil
		}
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		secret = make([]byte, 32)
		if _, err := rand.Read(secret); err != nil {
			return err
		}
		return storage.Store(ctx, storedSecret, secret)
	})
	if err != nil {
		return nil, fmt.Errorf("keep the swarm secret in Caddy's storage: %w", err)
	}
	return secret, nil
}

// dataFile returns a file of the mesh beside what Caddy stores, on this machine alone.
func dataFile(storage certmagic.Storage, name string) string {
	dir := caddy.AppDataDir()
	if files, ok := storage.(*certmagic.FileStorage); ok && files.Path != "" {
		dir = files.Path
	}
	return filepath.Join(dir, "mesh", name)
}

// locked calls f while it holds the storage's lock of the mesh.
func locked(ctx context.Context, storage certmagic.Storage, f func(context.Context) error) (err error) {
	ctx, cancel := context.WithTimeout(ctx, storageWait)
	defer cancel()
	if err := storage.Lock(ctx, storageLock); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	defer func() {
		if uerr := storage.Unlock(context.WithoutCancel(ctx), storageLock); uerr != nil {
			err = errors.Join(err, fmt.Errorf("unlock: %w", uerr))
		}
	}()
	return f(ctx)
}
