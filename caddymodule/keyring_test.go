package caddymodule_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/caddyserver/certmagic"

	"github.com/viewmesh/viewmesh/caddymodule"
	"github.com/viewmesh/viewmesh/edge/catalog"
	"github.com/viewmesh/viewmesh/edge/digest"
	"github.com/viewmesh/viewmesh/meshcore/manifest"
)

// TestKeyRotation: stored keys are rotated at their age, the old one stays good,
// and what another edge has stored is taken over.
func TestKeyRotation(t *testing.T) {
	storage := &certmagic.FileStorage{Path: t.TempDir()}
	ctx := context.Background()
	now := time.Unix(1_800_000_000, 0)
	first, err := caddymodule.StoredKeyring(ctx, storage, now)
	if err != nil {
		t.Fatal(err)
	}
	same, err := caddymodule.StoredKeyring(ctx, storage, now.Add(caddymodule.KeyLife-time.Hour))
	if err != nil || same.KeyID() != first.KeyID() {
		t.Errorf("the key changed before its age (%v)", err)
	}
	next, err := caddymodule.StoredKeyring(ctx, storage, now.Add(caddymodule.KeyLife))
	if err != nil || next.KeyID() == first.KeyID() {
		t.Errorf("the key did not change at its age (%v)", err)
	}
	other, err := caddymodule.StoredKeyring(ctx, storage, now.Add(caddymodule.KeyLife))
	if err != nil || other.KeyID() != next.KeyID() {
		t.Errorf("another edge has another key (%v)", err)
	}
	st := digest.NewStore(nil)
	k := digest.Key{Host: "h", Name: manifest.Name{Path: "/s.ts"}}
	st.Learn(k, 5, "", make([]byte, 32), [32]byte{}, time.Now())
	before, _, _ := st.Headers(k, 5, "", first, now)
	after, _, _ := st.Headers(k, 5, "", next, now)
	if before == after {
		t.Error("the token is still signed with the old key")
	}
	if _, err := next.Verifier().VerifySegment(before, now); err != nil {
		t.Errorf("what the old key signed: %v", err)
	}
	if err := storage.Store(ctx, caddymodule.StoredKeys, []byte("damaged")); err != nil {
		t.Fatal(err)
	}
	if _, err := caddymodule.StoredKeyring(ctx, storage, now); err == nil {
		t.Error("a damaged key set was taken")
	}
	a, err := caddymodule.StoredRandom(ctx, storage)
	if err != nil || len(a) != 32 {
		t.Fatalf("secret of %d bytes (%v)", len(a), err)
	}
	if b, err := caddymodule.StoredRandom(ctx, storage); err != nil || string(a) != string(b) {
		t.Errorf("another secret (%v)", err)
	}
}

// TestStorageComesBack: a Caddy whose storage is unavailable starts with keys and
// secret of its own and says so once; when the storage is back, its keys sign, and
// swarms have the ids that other edges give them. Ids from before stay good.
func TestStorageComesBack(t *testing.T) {
	e := newEdge(t)
	good := e.storage
	other, err := caddymodule.StoredKeyring(t.Context(), &certmagic.FileStorage{Path: good}, time.Now()) // of another edge
	if err != nil {
		t.Fatal(err)
	}
	secret, err := caddymodule.StoredRandom(t.Context(), &certmagic.FileStorage{Path: good})
	if err != nil {
		t.Fatal(err)
	}
	others := catalog.New(secret)
	away := good + ".away"
	if err := os.Rename(good, away); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Dir(good), filepath.Base(good), "no directory")
	log := t.TempDir() + "/log"
	if err := e.tryLoad(strings.Replace(e.caddyfile("mesh {\n stun off\n }", "mesh\n root "+vod(t, 1, 100)+"\n file_server"), "output discard", "output file "+log, 1)); err != nil {
		t.Fatal(err)
	}
	if caddymodule.CurrentKeys().KeyID() == other.KeyID() {
		t.Fatal("the storage was there all the time")
	}
	before := e.swarmOf("/vod/index.m3u8")
	if err := os.Remove(good); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, good); err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool { return caddymodule.CurrentKeys().KeyID() == other.KeyID() })
	theirs := others.SwarmOf(others.Presentation(e.addr, "/vod/index.m3u8"), time.Now())
	waitFor(t, func() bool { return e.swarmOf("/vod/index.m3u8") == theirs })
	e.connect(e.openSessionIn(before)).announce(0)
	e.connect(e.openSessionIn(theirs)).announce(0)
	b, err := os.ReadFile(log)
	if err != nil || strings.Count(string(b), "signing with keys of this process alone") != 1 || strings.Count(string(b), "swarm ids are this process's own") != 1 {
		t.Errorf("%v, the log says\n%s", err, b)
	}
}
