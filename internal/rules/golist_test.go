package rules

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// module is the path of the module whose rules these are.
const module = "github.com/viewmesh/viewmesh"

// goPackage is what the tests need of go list -json.
type goPackage struct {
	ImportPath   string
	Dir          string
	Standard     bool
	Export       string
	Imports      []string
	TestImports  []string
	XTestImports []string
	Deps         []string
	GoFiles      []string
}

// short is the path within the module; "" is the root package.
func (p *goPackage) short() string { return within(p.ImportPath) }

// within cuts the module off an import path.
func within(path string) string { return strings.TrimPrefix(strings.TrimPrefix(path, module), "/") }

func inModule(path string) bool { return path == module || strings.HasPrefix(path, module+"/") }

// root is the folder of go.mod. The first call also looks at every Go file below
// it, so that the go command, which remembers what a test has opened, runs the
// tests again when one of them changes; it does not see what go list reads.
var root = sync.OnceValues(func() (string, error) {
	dir, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		return "", err
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil // gone meanwhile
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || d.Name() != "." && strings.HasPrefix(d.Name(), ".") && path != dir):
			return fs.SkipDir
		case strings.HasSuffix(path, ".go") || d.Name() == "go.mod":
			f, err := os.Open(path)
			if err != nil {
				return nil
			}
			return f.Close()
		}
		return nil
	})
	return dir, err
})

func moduleRoot(t *testing.T) string {
	t.Helper()
	dir, err := root()
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

// goCommand gives a go command that runs in the module's root for a platform.
func goCommand(t *testing.T, goos, goarch string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = moduleRoot(t)
	cmd.Env = append(os.Environ(), "PWD="+cmd.Dir)
	if goos != "" {
		cmd.Env = append(cmd.Env, "GOOS="+goos, "GOARCH="+goarch, "CGO_ENABLED=0")
	}
	return cmd
}

// goList lists packages of the module and all they depend on, by import path. A
// package that does not compile is listed too: another test fails for it.
func goList(t *testing.T, goos, goarch string, args ...string) map[string]*goPackage {
	t.Helper()
	cmd := goCommand(t, goos, goarch, append([]string{"list", "-e", "-deps",
		"-json=ImportPath,Dir,Standard,Export,Imports,TestImports,XTestImports,Deps,GoFiles"}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", cmd.Args, err, stderr.Bytes())
	}
	pkgs := map[string]*goPackage{}
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		p := new(goPackage)
		if err := dec.Decode(p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs[p.ImportPath] = p
	}
	return pkgs
}
