package browser_test

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/viewmesh/viewmesh/internal/program"
	"github.com/viewmesh/viewmesh/meshcore/browser"
)

// TestImports holds the modules to each other: a browser finds a file that is
// missing only when it loads it, and nothing may come from elsewhere.
func TestImports(t *testing.T) {
	imports := regexp.MustCompile(`(?m)(?:^import\s[^;]*?|^export\s[^;]*?from\s*|\bimport\()"([^"]+)"`)
	err := fs.WalkDir(browser.Modules(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(browser.Modules(), name)
		if err != nil {
			return err
		}
		for _, m := range imports.FindAllSubmatch(b, -1) {
			to := string(m[1])
			if to[0] != '.' {
				t.Errorf("%s imports %q: only relative imports work without a build step", name, to)
			} else if _, err := fs.Stat(browser.Modules(), path.Join(path.Dir(name), to)); err != nil {
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
	node := program.Need(t, "runs the tests of the browser's modules", "nodejs", "node")
	files, err := filepath.Glob("test/*.test.js")
	if err != nil || len(files) == 0 {
		t.Fatalf("no tests in test/: %v", err)
	}
	cmd := exec.CommandContext(t.Context(), node, append([]string{"--test", "--test-reporter=spec"}, files...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTypes has the JSDoc types of the modules checked by TypeScript, which npm
// brings into the user's cache.
func TestTypes(t *testing.T) {
	npm := program.Need(t, "brings the TypeScript compiler, which checks the types of the browser's modules", "npm", "npm")
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(cache, "viewmesh", "typescript-5.9.3")
	tsc := filepath.Join(dir, "node_modules", "typescript", "bin", "tsc")
	if _, err := os.Stat(tsc); err != nil {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), npm, "install", "--prefix", dir, "--no-audit", "--no-fund", "--ignore-scripts", "typescript@5.9.3")
		if out, err := cmd.CombinedOutput(); err != nil {
			program.Lacks(t, fmt.Sprintf("npm could not bring typescript, which checks the types of the browser's modules: %v\n%s", err, out))
		}
	}
	node := program.Need(t, "runs the TypeScript compiler", "nodejs", "node")
	if out, err := exec.CommandContext(t.Context(), node, tsc, "-p", ".").CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
