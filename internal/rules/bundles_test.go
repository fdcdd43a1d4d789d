package rules

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/viewmesh/viewmesh/internal/bundle"
)

// TestBundles: the edge serves what go generate makes of the browser's modules as
// they are now.
func TestBundles(t *testing.T) {
	const again = "run: go generate ./meshcore/browser"
	dir := filepath.Join(moduleRoot(t), "meshcore", "browser")
	entries, err := os.ReadDir(filepath.Join(dir, "bundles"))
	if err != nil {
		t.Fatal(err)
	}
	var served []string
	for _, e := range entries {
		served = append(served, e.Name())
	}
	if want := slices.Sorted(slices.Values(bundle.Names)); !slices.Equal(served, want) {
		t.Fatalf("bundles has the files %v, want %v; %s", served, want, again)
	}
	for _, name := range served {
		b, err := os.ReadFile(filepath.Join(dir, "bundles", name))
		if err != nil {
			t.Fatal(err)
		}
		fresh, err := bundle.Make(os.DirFS(filepath.Join(dir, "www")), name)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(b, fresh) {
			t.Errorf("bundles/%s is stale; %s", name, again)
		}
	}
}
