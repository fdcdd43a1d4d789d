package digest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/viewmesh/viewmesh/meshcore/manifest"
	"github.com/viewmesh/viewmesh/tokens"
)

// keyOf returns the key of a segment.
func keyOf(path string) Key { return Key{Host: "h", Name: manifest.Name{Path: path, Query: "q=1"}} }

// open returns a store with a file; whatever keeps it from being used fails the test.
func open(t *testing.T, path string) (*Store, *Disk) {
	t.Helper()
	d := NewDisk(path, func(err error) { t.Error(err) })
	t.Cleanup(d.Close)
	return NewStore(d), d
}

// stated reports whether a store states of a segment what it learned as b.
func stated(t *testing.T, s *Store, keys *tokens.Keyring, path, validator string, b byte) bool {
	t.Helper()
	now := time.Now()
	token, digests, ok := s.Headers(keyOf(path), 10, validator, keys, now)
	if !ok {
		return false
	}
	seg, err := keys.Verifier().VerifySegment(token, now)
	if err != nil || seg.Root != [32]byte{b} || seg.Name() != path+"?q=1" || digests == "" {
		t.Errorf("%s: %+v %q (%v)", path, seg, digests, err)
	}
	return true
}

// TestDisk: what a store learned, the next one on the same file states, as long as it
// is the same version; a newer one replaces it without a conflict. What comes without
// validator is not kept.
func TestDisk(t *testing.T) {
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "mesh", "digests.db")
	s, d := open(t, file)
	hashes := make([]byte, 32)
	s.Learn(keyOf("/a.ts"), 10, `"1"`, hashes, [32]byte{1}, time.Now())
	s.Learn(keyOf("/a.ts"), 10, `"1-elsewhere"`, hashes, [32]byte{1}, time.Now())
	s.Learn(keyOf("/new.ts"), 10, `"1"`, hashes, [32]byte{2}, time.Now())
	s.Learn(keyOf("/new.ts"), 10, `"2"`, hashes, [32]byte{3}, time.Now())
	s.Learn(keyOf("/plain.ts"), 10, "", hashes, [32]byte{4}, time.Now())
	d.Close()
	s.Learn(keyOf("/late.ts"), 10, `"1"`, hashes, [32]byte{5}, time.Now()) // for memory alone

	s, d = open(t, file)
	for _, c := range []struct {
		path, validator string
		root            byte
		stated          bool
	}{
		{"/a.ts", `"1"`, 1, true}, {"/a.ts", `"1-elsewhere"`, 1, true}, {"/a.ts", `"3"`, 0, false},
		{"/new.ts", `"2"`, 3, true}, {"/new.ts", `"1"`, 0, false},
		{"/plain.ts", "", 0, false}, {"/late.ts", `"1"`, 0, false}, {"/b.ts", `"1"`, 0, false},
	} {
		if got := stated(t, s, keys, c.path, c.validator, c.root); got != c.stated {
			t.Errorf("%s %s is stated: %v", c.path, c.validator, got)
		}
	}
	if why := s.Learn(keyOf("/a.ts"), 10, `"1"`, hashes, [32]byte{9}, time.Now()); why != "" {
		t.Errorf("other bytes than before the restart: %s", why)
	}
	if why := s.Learn(keyOf("/a.ts"), 10, `"1"`, hashes, [32]byte{1}, time.Now()); why == "" {
		t.Error("other bytes since the restart are no conflict")
	}
	d.Close()
}

// TestDiskIsBounded: what was learned first goes first.
func TestDiskIsBounded(t *testing.T) {
	keys, err := tokens.NewKeyring(time.Now())
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "digests.db")
	for round := range 2 {
		s, d := open(t, file)
		d.limit = 10
		for i := range 8 {
			s.Learn(keyOf(fmt.Sprintf("/%d-%d.ts", round, i)), 10, `"1"`, make([]byte, 32), [32]byte{1}, time.Now())
		}
		s.Learn(keyOf("/0-7.ts"), 10, `"2"`, make([]byte, 32), [32]byte{2}, time.Now()) // is young again
		d.Close()
	}
	s, _ := open(t, file)
	var got []string
	for round := range 2 {
		for i := range 8 {
			path := fmt.Sprintf("/%d-%d.ts", round, i)
			if path != "/0-7.ts" && stated(t, s, keys, path, `"1"`, 1) {
				got = append(got, path)
			}
		}
	}
	if !stated(t, s, keys, "/0-7.ts", `"2"`, 2) || strings.Join(got, " ") != "/0-6.ts /1-0.ts /1-1.ts /1-2.ts /1-3.ts /1-4.ts /1-5.ts /1-6.ts /1-7.ts" {
		t.Errorf("kept: %s", got)
	}
}

// TestDiskOfAnother: a file that another process has, or that cannot be made, is
// reported once, and the store goes on in memory; one that is damaged is put aside.
func TestDiskOfAnother(t *testing.T) {
	dir := t.TempDir()
	first, _ := open(t, filepath.Join(dir, "held.db"))
	first.Learn(keyOf("/a.ts"), 10, `"1"`, make([]byte, 32), [32]byte{1}, time.Now())
	if err := os.WriteFile(filepath.Join(dir, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"held.db", "file/digests.db"} {
		failures := 0
		d := NewDisk(filepath.Join(dir, path), func(error) { failures++ })
		s := NewStore(d)
		for range 2 {
			s.Learn(keyOf("/a.ts"), 10, `"1"`, make([]byte, 32), [32]byte{1}, time.Now())
			s.Learn(keyOf("/b.ts"), 10, `"1"`, make([]byte, 32), [32]byte{1}, time.Now())
		}
		d.Close()
		if failures != 1 || s.entries.Len() != 2 {
			t.Errorf("%s: %d failures, %d digests", path, failures, s.entries.Len())
		}
	}
	damaged := filepath.Join(dir, "damaged.db")
	if err := os.WriteFile(damaged, []byte(strings.Repeat("no database", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, _ := open(t, damaged)
	s.Learn(keyOf("/a.ts"), 10, `"1"`, make([]byte, 32), [32]byte{1}, time.Now())
	if _, err := os.Stat(damaged + ".damaged"); err != nil {
		t.Error(err)
	}
}
