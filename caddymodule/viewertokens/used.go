package viewertokens

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"

	"github.com/viewmesh/viewmesh/tokens"
)

// usedFiles holds the stores of used tokens, by file, so that a reload goes on with one.
var usedFiles = caddy.NewUsagePool()

// usedFile is a tokens.ReplayStore that keeps used ids in a file, so that a restart does
// not make a token new. The file is a journal of records; it is opened with the first
// use, and written anew when most of it is of tokens that have died.
type usedFile struct {
	name   string
	memory *tokens.ReplayMemory

	mu      sync.Mutex
	file    *os.File
	records int // in file
}

// usedRecord is the size of a record: id, account, expiry in Unix seconds or 0.
const usedRecord = 32 + 32 + 8

// openUsed returns the store of a file for at most limit ids. Each call needs one
// closeUsed.
func openUsed(name string, limit int) (*usedFile, error) {
	v, loaded, err := usedFiles.LoadOrNew(name, func() (caddy.Destructor, error) {
		return &usedFile{name: name, memory: tokens.NewReplayMemory(limit)}, nil
	})
	if err != nil {
		return nil, err
	}
	u := v.(*usedFile)
	if loaded {
		u.memory.SetLimit(limit)
	}
	return u, nil
}

func closeUsed(name string) error {
	_, err := usedFiles.Delete(name)
	return err
}

// defaultUsedFile is where used ids are kept unless replay_file names a file: beside
// what Caddy stores.
func defaultUsedFile(storage certmagic.Storage) string {
	dir := caddy.AppDataDir()
	if files, ok := storage.(*certmagic.FileStorage); ok && files.Path != "" {
		dir = files.Path
	}
	return filepath.Join(dir, "mesh", "used_tokens")
}

// Use implements tokens.ReplayStore. What cannot be kept is refused.
func (u *usedFile) Use(ctx context.Context, use tokens.Use, now time.Time) error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.file == nil {
		if err := u.open(ctx, now); err != nil {
			return fmt.Errorf("read the tokens that were used: %w", err)
		}
	}
	if err := u.memory.Use(ctx, use, now); err != nil {
		return err
	}
	if u.records > 1<<12 && u.records > 2*len(u.memory.All()) {
		return u.rewrite()
	}
	if _, err := u.file.Write(encodeUse(use)); err != nil {
		return fmt.Errorf("keep a token that was used: %w", err)
	}
	u.records++
	return nil
}

// open reads the file. A record that was cut off when the server died is left out.
func (u *usedFile) open(ctx context.Context, now time.Time) error {
	b, err := os.ReadFile(u.name)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for ; len(b) >= usedRecord; b = b[usedRecord:] {
		use := tokens.Use{ID: [32]byte(b), Account: [32]byte(b[32:])}
		if at := binary.BigEndian.Uint64(b[64:]); at != 0 {
			use.Expires = time.Unix(int64(at), 0)
		}
		if use.Expires.IsZero() || now.Before(use.Expires) {
			_ = u.memory.Use(ctx, use, now) // one that is twice there, or too many
		}
	}
	return u.rewrite()
}

// rewrite writes the file anew and goes on with that.
func (u *usedFile) rewrite() error {
	if err := os.MkdirAll(filepath.Dir(u.name), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(u.name+".new", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	uses := u.memory.All()
	for _, use := range uses {
		if _, err := f.Write(encodeUse(use)); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	if err := os.Rename(u.name+".new", u.name); err != nil {
		return errors.Join(err, f.Close())
	}
	if u.file != nil {
		_ = u.file.Close() // it is replaced
	}
	u.file, u.records = f, len(uses)
	return nil
}

func encodeUse(use tokens.Use) []byte {
	b := make([]byte, 0, usedRecord)
	b = append(append(b, use.ID[:]...), use.Account[:]...)
	if use.Expires.IsZero() {
		return binary.BigEndian.AppendUint64(b, 0)
	}
	return binary.BigEndian.AppendUint64(b, uint64(max(use.Expires.Unix()+1, 1)))
}

// Destruct closes the file.
func (u *usedFile) Destruct() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.file == nil {
		return nil
	}
	return u.file.Close()
}

var (
	_ tokens.ReplayStore = (*usedFile)(nil)
	_ caddy.Destructor   = (*usedFile)(nil)
)
