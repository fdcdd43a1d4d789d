package browser_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/viewmesh/viewmesh/internal/bundle"
	"github.com/viewmesh/viewmesh/internal/program"
	"github.com/viewmesh/viewmesh/meshcore/browser"
)

// modules are the modules as they were written, with mesh.js at the root.
var modules = os.DirFS("www")

// TestImports holds the modules to each other: a browser finds a file that is
// missing only when it loads it, and nothing may come from elsewhere. A module
// imports those below it: there are no circles.
func TestImports(t *testing.T) {
	imports := regexp.MustCompile(`(?m)(^import\s[^;]*?|^export\s[^;]*?from\s*|\bimport\()"([^"]+)"`)
	below := map[string][]string{} // what a module imports, without types that a comment names
	err := fs.WalkDir(modules, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(modules, name)
		if err != nil {
			return err
		}
		for _, m := range imports.FindAllSubmatch(b, -1) {
			to := string(m[2])
			file := path.Join(path.Dir(name), to)
			if to[0] != '.' {
				t.Errorf("%s imports %q: only relative imports work without a build step", name, to)
			} else if _, err := fs.Stat(modules, file); err != nil {
				t.Errorf("%s imports %q, which is not there", name, to)
			}
			if string(m[1]) != "import(" {
				below[name] = append(below[name], file)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	// Circles that are still there.
	known := []string{"peer/backoff.js -> peer/neighbor.js -> peer/backoff.js", "peer/player.js -> peer/segment.js -> peer/player.js"}
	done := map[string]bool{}
	var visit func(way []string, name string)
	visit = func(way []string, name string) {
		if i := slices.Index(way, name); i >= 0 {
			circle := strings.Join(append(slices.Clone(way[i:]), name), " -> ")
			if i := slices.Index(known, circle); i >= 0 {
				known = slices.Delete(known, i, i+1)
			} else {
				t.Errorf("modules import each other: %s", circle)
			}
			return
		}
		if done[name] {
			return
		}
		for _, to := range below[name] {
			visit(append(slices.Clone(way), name), to)
		}
		done[name] = true
	}
	for _, name := range slices.Sorted(maps.Keys(below)) {
		visit(nil, name)
	}
	for _, circle := range known {
		t.Errorf("modules do not import each other any more: take %s out of known", circle)
	}
}

// TestBundles: what a page loads, the worker and the largest of the players' files
// included, stays small together, and the files export what pages import.
func TestBundles(t *testing.T) {
	const most = 40 << 10
	total, player := 0, 0
	for _, name := range bundle.Names {
		b, err := fs.ReadFile(browser.Bundles(), name)
		if err != nil {
			t.Fatal(err)
		}
		var z bytes.Buffer
		w, err := gzip.NewWriterLevel(&z, gzip.BestCompression)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(b); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		t.Logf("%6d bytes, %5d with gzip: %s", len(b), z.Len(), name)
		if name == "mesh.js" || name == "sw.js" {
			total += z.Len()
		} else {
			player = max(player, z.Len())
		}
		exports, module := map[string][]string{"mesh.js": {"consent", "mesh"}, "hls.js": {"meshLoader"}, "shaka.js": {"register"}, "dash.js": {"register"}}[name]
		if !module {
			continue // the worker, which nothing imports
		}
		_, list, _ := strings.Cut(string(b), "export{")
		for _, e := range exports {
			if !strings.Contains(list, " as "+e) {
				t.Errorf("%s does not export %s: %s", name, e, list)
			}
		}
		if name != "mesh.js" && !strings.Contains(string(b), `from"./mesh.js"`) {
			t.Errorf("%s does not import the one mesh.js of the page", name)
		}
	}
	total += player
	t.Logf("%d bytes with gzip", total)
	if total > most {
		t.Errorf("a page loads %d bytes with gzip, at most %d are allowed", total, most)
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
