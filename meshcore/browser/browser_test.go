package browser_test

import (
	"bytes"
	"compress/gzip"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/viewmesh/viewmesh/meshcore/browser"
)

// maxSize is what a viewer downloads at most, all files together.
const maxSize = 40 << 10

func TestSize(t *testing.T) {
	total := 0
	err := fs.WalkDir(browser.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(browser.Files(), name)
		if err != nil {
			return err
		}
		var z bytes.Buffer
		w, err := gzip.NewWriterLevel(&z, 6)
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		t.Logf("%6d %6d %s", len(b), z.Len(), name)
		total += z.Len()
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d bytes with gzip", total)
	if total > maxSize {
		t.Errorf("the files have %d bytes with gzip, at most %d are allowed", total, maxSize)
	}
}

// TestImports holds the modules to each other: a browser finds a file that is
// missing only when it loads it, and nothing may come from elsewhere.
func TestImports(t *testing.T) {
	imports := regexp.MustCompile(`(?m)(?:^import\s[^;]*?|^export\s[^;]*?from\s*|\bimport\()"([^"]+)"`)
	err := fs.WalkDir(browser.Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(browser.Files(), name)
		if err != nil {
			return err
		}
		for _, m := range imports.FindAllSubmatch(b, -1) {
			to := string(m[1])
			if to[0] != '.' {
				t.Errorf("%s imports %q: only relative imports work without a build step", name, to)
			} else if _, err := fs.Stat(browser.Files(), path.Join(path.Dir(name), to)); err != nil {
				t.Errorf("%s imports %q, which is not there", name, to)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestNode runs the tests of the modules, and the vectors and scenarios that Go
// runs too.
func TestNode(t *testing.T) {
	node := need(t, "node", "it runs the tests of the browser's modules (Debian: apt-get install nodejs)")
	files, err := filepath.Glob("test/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in test/: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), node, append([]string{"--test", "--test-reporter=spec"}, files...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// need finds a program, or skips with a sentence that names it; VIEWMESH_CI=1
// makes the skip a failure.
func need(t *testing.T, name, why string) string {
	t.Helper()
	found, err := exec.LookPath(name)
	if err == nil {
		return found
	}
	if os.Getenv("VIEWMESH_CI") == "1" {
		t.Fatalf("%s is not installed, and VIEWMESH_CI=1 asks for it: %s", name, why)
	}
	t.Skipf("%s is not installed; %s", name, why)
	return ""
}
